"""Errors that name what was found, what was expected and what to do.

Every error that a user can cause derives from :class:`MrisegError`; the command line shows its text and never a
traceback. A message names a file or a participant id of the study, and never carries a header value that could
identify a patient.
"""

from __future__ import annotations


class MrisegError(Exception):
    """Base of all errors that end in a recorded failure instead of a traceback."""


class GeometryError(MrisegError):
    """Two grids, orientations or transforms do not fit together."""


class DicomError(MrisegError):
    """A DICOM file or series cannot be turned into a volume."""


class TableError(MrisegError):
    """A file is no table of text columns, or a cell of it cannot be read."""


class StudyError(MrisegError):
    """The study folder, ``study.toml`` or ``participants.tsv`` is wrong or incomplete."""


class SegmentationError(MrisegError):
    """An image or a mask cannot be used as a label map."""


class RegistrationError(MrisegError):
    """Two visits could not be brought together."""


class ParameterError(MrisegError):
    """A parameter is unknown or out of its range."""


class MeasurementError(MrisegError):
    """A label map cannot be measured."""


class AnalysisError(MrisegError):
    """The arms cannot be compared as the plan asks."""
