"""Digital knees, MR signal and whole DICOM trials with known truth."""
