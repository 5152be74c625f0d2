"""What a user names (files, folders, globs, spacing tables) to Frames, whether raster image or DICOM."""
