-- Orthanc sends each ultrasound instance that it is given to the node. What the node sends back is of other
-- SOP classes, and so goes no further.
local ULTRASOUND = {
  ['1.2.840.10008.5.1.4.1.1.6.1'] = true,  -- Ultrasound Image
  ['1.2.840.10008.5.1.4.1.1.3.1'] = true,  -- Ultrasound Multi-frame Image
  ['1.2.840.10008.5.1.4.1.1.6'] = true,    -- their retired forms
  ['1.2.840.10008.5.1.4.1.1.3'] = true,
}

function OnStoredInstance(instanceId, tags, metadata)
  if ULTRASOUND[tags['SOPClassUID']] then
    SendToModality(instanceId, 'sonoseg')
  end
end
