"""DICOM ultrasound: `reading` gives frames, `writing` makes SEG, SR and Secondary Capture objects."""
