"""What may stay in a de-identified MR image: everything else is dropped, known to the standard or not.

The rule is stricter than the Basic Application Level Confidentiality Profile of DICOM PS3.15 Annex E, which lists what
to remove: an element that the standard adds, or that a scanner invents, is dropped here until somebody puts it on this
list. Together with shifted dates and cleaned words it meets the options Retain Longitudinal Temporal Information With
Modified Dates and Clean Descriptors.
"""

from __future__ import annotations

# Elements kept where their value is what their type promises: a number, a known technical word, a date to shift or an
# identifier to remap. Names are the keywords of PS3.6.
KEPT = frozenset(
    """
    ImageType SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID SpecificCharacterSet
    StudyDate SeriesDate AcquisitionDate ContentDate StudyTime SeriesTime AcquisitionTime ContentTime
    AcquisitionDateTime InstanceCreationDate InstanceCreationTime Modality Manufacturer ManufacturerModelName
    SoftwareVersions SeriesDescription ProtocolName BodyPartExamined PatientPosition Laterality ImageLaterality
    ScanningSequence SequenceVariant ScanOptions MRAcquisitionType SequenceName AngioFlag SliceThickness
    RepetitionTime EchoTime InversionTime NumberOfAverages ImagingFrequency ImagedNucleus EchoNumbers
    MagneticFieldStrength SpacingBetweenSlices NumberOfPhaseEncodingSteps EchoTrainLength PercentSampling
    PercentPhaseFieldOfView PixelBandwidth TriggerTime NominalInterval ReconstructionDiameter ReceiveCoilName
    TransmitCoilName AcquisitionMatrix InPlanePhaseEncodingDirection FlipAngle VariableFlipAngleFlag SAR dBdt
    TriggerWindow HeartRate CardiacNumberOfImages SeriesNumber AcquisitionNumber InstanceNumber
    TemporalPositionIdentifier NumberOfTemporalPositions TemporalResolution ImagePositionPatient
    ImageOrientationPatient SliceLocation ImagesInAcquisition StackID InStackPositionNumber SamplesPerPixel
    PhotometricInterpretation NumberOfFrames Rows Columns PixelSpacing BitsAllocated BitsStored HighBit
    PixelRepresentation SmallestImagePixelValue LargestImagePixelValue PixelPaddingValue WindowCenter WindowWidth
    RescaleIntercept RescaleSlope RescaleType LossyImageCompression LossyImageCompressionRatio
    LossyImageCompressionMethod BurnedInAnnotation PresentationLUTShape PixelData PulseSequenceName EchoPulseSequence
    MultipleSpinEcho MultiPlanarExcitation PhaseContrast TimeOfFlightContrast Spoiling SteadyStatePulseSequence
    EchoPlanarPulseSequence SaturationRecovery SpectrallySelectedSuppression SpectrallySelectedExcitation
    SpatialPresaturation T2Preparation MagnetizationTransfer BloodSignalNulling Tagging OversamplingPhase
    GeometryOfKSpaceTraversal SegmentedKSpaceTraversal RectilinearPhaseEncodeReordering NumberOfKSpaceTrajectories
    CoverageOfKSpace KSpaceFiltering ResonantNucleus FrequencyCorrection ParallelAcquisition
    ParallelAcquisitionTechnique ParallelReductionFactorInPlane ParallelReductionFactorOutOfPlane PartialFourier
    PartialFourierDirection EffectiveEchoTime GradientEchoTrainLength RFEchoTrainLength
    MRAcquisitionFrequencyEncodingSteps MRAcquisitionPhaseEncodingStepsInPlane
    MRAcquisitionPhaseEncodingStepsOutOfPlane AcquisitionDuration AcquisitionContrast ComplexImageComponent
    PixelPresentation VolumetricProperties VolumeBasedCalculationTechnique FrameType InversionRecovery InversionTimes
    FlowCompensation FlowCompensationDirection ReceiveCoilType TransmitCoilType QuadratureReceiveCoil DiffusionBValue
    DiffusionDirectionality DiffusionGradientOrientation DiffusionAnisotropyType FrameLaterality
    FrameAcquisitionNumber FrameAcquisitionDuration FrameAcquisitionDateTime FrameReferenceDateTime
    TemporalPositionIndex TemporalPositionTimeOffset DimensionIndexValues DimensionIndexPointer FunctionalGroupPointer
    DimensionOrganizationUID DimensionOrganizationType NominalCardiacTriggerDelayTime ContentQualification
    SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence DimensionOrganizationSequence
    DimensionIndexSequence PixelMeasuresSequence PlanePositionSequence PlaneOrientationSequence FrameContentSequence
    FrameAnatomySequence PixelValueTransformationSequence FrameVOILUTSequence MRImageFrameTypeSequence
    MRTimingAndRelatedParametersSequence MRFOVGeometrySequence MREchoSequence MRModifierSequence
    MRImagingModifierSequence MRReceiveCoilSequence MRTransmitCoilSequence MRAveragesSequence MRDiffusionSequence
    DiffusionGradientDirectionSequence CardiacSynchronizationSequence TemporalPositionSequence
    RealWorldValueMappingSequence RealWorldValueSlope RealWorldValueIntercept RealWorldValueFirstValueMapped
    RealWorldValueLastValueMapped DoubleFloatRealWorldValueFirstValueMapped DoubleFloatRealWorldValueLastValueMapped
    RealWorldValueLUTData MeasurementUnitsCodeSequence CodeValue CodingSchemeDesignator
    """.split()  # noqa: SIM905
)

# Codes of UCUM for what MR measures; any other text of a unit could be anything.
UNITS = {
    "1", "ms", "s", "us", "mm", "cm", "mm2/s", "um2/s", "10*-6.mm2/s", "/s", "s-1", "%", "Hz", "ppm", "T", "mT", "rad",
    "deg", "m/s", "cm/s", "mm/s", "kPa", "ml/min", "[arb'U]", "{counts}", "{ratio}",
}  # fmt: skip

# Code strings whose defined terms are not technical words; the value must be one of these.
TERMS = {
    "SpecificCharacterSet": {"ISO_IR 100", "ISO_IR 192", "ISO_IR 6", ""},
    "Modality": {"MR"},
    "PatientPosition": {"HFS", "HFP", "HFDL", "HFDR", "FFS", "FFP", "FFDL", "FFDR"},
    "Laterality": {"R", "L"},
    "ImageLaterality": {"R", "L", "U", "B"},
    "FrameLaterality": {"R", "L", "U", "B"},
    "PhotometricInterpretation": {"MONOCHROME1", "MONOCHROME2"},
    "InPlanePhaseEncodingDirection": {"ROW", "COL", "ROW_OR_COL"},
    "PresentationLUTShape": {"IDENTITY", "INVERSE"},
    "LossyImageCompression": {"00", "01"},
    "LossyImageCompressionMethod": {"ISO_10918_1", "ISO_14495_1", "ISO_15444_1"},
    "BurnedInAnnotation": {"YES", "NO"},
    "ImagedNucleus": {"1H", "13C", "19F", "23NA", "31P"},
    "ResonantNucleus": {"1H", "13C", "19F", "23NA", "31P"},
    "RescaleType": {"US", "HU", "NORMALIZED"},
    "DimensionOrganizationType": {"3D", "3D_TEMPORAL", "TILED_FULL", "TILED_SPARSE"},
    "ContentQualification": {"PRODUCT", "RESEARCH", "SERVICE"},
    "CodeValue": UNITS,
    "CodingSchemeDesignator": {"UCUM"},
}
CODE_WORDS = frozenset(
    """
    yes no none y n gradient spin both image volume sampled distorted monochrome magnitude phase real imaginary mixed
    rf longitudinal transverse free_precession single full partial rectilinear radial spiral linear centric
    reverse_linear reverse_centric pre post sense grappa smash pils body volume surface multicoil array slice
    slice_and_freq phase_and_freq freq directional bmatrix isotropic fractional relative water fat water_fat
    riesz hamming combination slab parallel proton_density t1 t2 t2_star diffusion perfusion unknown modulus max_ip
    constant frequency_and_phase 2d 3d
    """.split()  # noqa: SIM905
)

# Private elements that images cannot be understood without, by creator and the last two digits of the element.
PRIVATE = {
    ("Philips MR Imaging DD 001", 0x2005, 0x0E): "FL",  # scale slope
    ("Philips MR Imaging DD 001", 0x2005, 0x0D): "FL",  # scale intercept
    ("GEMS_PARM_01", 0x0043, 0x2F): "SS",  # magnitude, phase, real, imaginary
    ("GEMS_PARM_01", 0x0043, 0x39): "IS",  # b-value
    ("SIEMENS MR HEADER", 0x0019, 0x0C): "IS",  # b-value
}

# Codes of PS3.16 CID 7050 that say what was done.
METHODS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113105", "Clean Descriptors Option"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)
EMPTIED = ("PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "ReferringPhysicianName")
