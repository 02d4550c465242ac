"""DICOM in and out: folders to volumes, de-identification, DICOM SEG."""
