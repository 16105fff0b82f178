//! Names of EXIF tags and of their coded values, as exifread prints them: the `exif` column of
//! img2dataset has these, and readers of that column look for them. The numbers are those of EXIF 2.32
//! and TIFF 6.0.

/// How a value is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Show {
    /// Numbers, ratios, text as they are.
    Plain,
    /// Bytes that are characters.
    Text,
    /// Codes with names.
    Codes(&'static [(u32, &'static str)]),
    /// The offset of the GPS directory.
    Gps,
    /// The offset of the interoperability directory.
    Interop,
}

/// Tag, name, display. Sorted by tag.
pub(crate) type Tag = (u16, &'static str, Show);

/// The entry of a tag in one of the tables below.
pub(crate) fn find(table: &'static [Tag], tag: u16) -> Option<&'static Tag> {
    table.binary_search_by_key(&tag, |entry| entry.0).ok().map(|index| &table[index])
}

/// The interoperability directory.
#[rustfmt::skip]
pub(crate) const INTEROP: &[Tag] = &[
    (0x0001, "InteroperabilityIndex", Show::Plain),
    (0x0002, "InteroperabilityVersion", Show::Plain),
    (0x1000, "RelatedImageFileFormat", Show::Plain),
    (0x1001, "RelatedImageWidth", Show::Plain),
    (0x1002, "RelatedImageLength", Show::Plain),
];

/// The GPS directory.
#[rustfmt::skip]
pub(crate) const GPS: &[Tag] = &[
    (0x0000, "GPSVersionID", Show::Plain),
    (0x0001, "GPSLatitudeRef", Show::Plain),
    (0x0002, "GPSLatitude", Show::Plain),
    (0x0003, "GPSLongitudeRef", Show::Plain),
    (0x0004, "GPSLongitude", Show::Plain),
    (0x0005, "GPSAltitudeRef", Show::Plain),
    (0x0006, "GPSAltitude", Show::Plain),
    (0x0007, "GPSTimeStamp", Show::Plain),
    (0x0008, "GPSSatellites", Show::Plain),
    (0x0009, "GPSStatus", Show::Plain),
    (0x000A, "GPSMeasureMode", Show::Plain),
    (0x000B, "GPSDOP", Show::Plain),
    (0x000C, "GPSSpeedRef", Show::Plain),
    (0x000D, "GPSSpeed", Show::Plain),
    (0x000E, "GPSTrackRef", Show::Plain),
    (0x000F, "GPSTrack", Show::Plain),
    (0x0010, "GPSImgDirectionRef", Show::Plain),
    (0x0011, "GPSImgDirection", Show::Plain),
    (0x0012, "GPSMapDatum", Show::Plain),
    (0x0013, "GPSDestLatitudeRef", Show::Plain),
    (0x0014, "GPSDestLatitude", Show::Plain),
    (0x0015, "GPSDestLongitudeRef", Show::Plain),
    (0x0016, "GPSDestLongitude", Show::Plain),
    (0x0017, "GPSDestBearingRef", Show::Plain),
    (0x0018, "GPSDestBearing", Show::Plain),
    (0x0019, "GPSDestDistanceRef", Show::Plain),
    (0x001A, "GPSDestDistance", Show::Plain),
    (0x001B, "GPSProcessingMethod", Show::Plain),
    (0x001C, "GPSAreaInformation", Show::Plain),
    (0x001D, "GPSDate", Show::Plain),
    (0x001E, "GPSDifferential", Show::Plain),
];

/// The image, thumbnail and EXIF directories.
#[rustfmt::skip]
pub(crate) const MAIN: &[Tag] = &[
    (0x00FE, "SubfileType", Show::Codes(SUBFILE_TYPE)),
    (0x00FF, "OldSubfileType", Show::Codes(OLD_SUBFILE_TYPE)),
    (0x0100, "ImageWidth", Show::Plain),
    (0x0101, "ImageLength", Show::Plain),
    (0x0102, "BitsPerSample", Show::Plain),
    (0x0103, "Compression", Show::Codes(COMPRESSION)),
    (0x0106, "PhotometricInterpretation", Show::Plain),
    (0x0107, "Thresholding", Show::Plain),
    (0x0108, "CellWidth", Show::Plain),
    (0x0109, "CellLength", Show::Plain),
    (0x010A, "FillOrder", Show::Plain),
    (0x010D, "DocumentName", Show::Plain),
    (0x010E, "ImageDescription", Show::Plain),
    (0x010F, "Make", Show::Plain),
    (0x0110, "Model", Show::Plain),
    (0x0111, "StripOffsets", Show::Plain),
    (0x0112, "Orientation", Show::Codes(ORIENTATION)),
    (0x0115, "SamplesPerPixel", Show::Plain),
    (0x0116, "RowsPerStrip", Show::Plain),
    (0x0117, "StripByteCounts", Show::Plain),
    (0x0118, "MinSampleValue", Show::Plain),
    (0x0119, "MaxSampleValue", Show::Plain),
    (0x011A, "XResolution", Show::Plain),
    (0x011B, "YResolution", Show::Plain),
    (0x011C, "PlanarConfiguration", Show::Plain),
    (0x011D, "PageName", Show::Text),
    (0x011E, "XPosition", Show::Plain),
    (0x011F, "YPosition", Show::Plain),
    (0x0122, "GrayResponseUnit", Show::Codes(GRAY_RESPONSE_UNIT)),
    (0x0123, "GrayResponseCurve", Show::Plain),
    (0x0124, "T4Options", Show::Plain),
    (0x0125, "T6Options", Show::Plain),
    (0x0128, "ResolutionUnit", Show::Codes(RESOLUTION_UNIT)),
    (0x0129, "PageNumber", Show::Plain),
    (0x012C, "ColorResponseUnit", Show::Plain),
    (0x012D, "TransferFunction", Show::Plain),
    (0x0131, "Software", Show::Plain),
    (0x0132, "DateTime", Show::Plain),
    (0x013B, "Artist", Show::Plain),
    (0x013C, "HostComputer", Show::Plain),
    (0x013D, "Predictor", Show::Codes(PREDICTOR)),
    (0x013E, "WhitePoint", Show::Plain),
    (0x013F, "PrimaryChromaticities", Show::Plain),
    (0x0140, "ColorMap", Show::Plain),
    (0x0141, "HalftoneHints", Show::Plain),
    (0x0142, "TileWidth", Show::Plain),
    (0x0143, "TileLength", Show::Plain),
    (0x0144, "TileOffsets", Show::Plain),
    (0x0145, "TileByteCounts", Show::Plain),
    (0x0146, "BadFaxLines", Show::Plain),
    (0x0147, "CleanFaxData", Show::Codes(CLEAN_FAX_DATA)),
    (0x0148, "ConsecutiveBadFaxLines", Show::Plain),
    (0x014A, "SubIFDs", Show::Plain),
    (0x014C, "InkSet", Show::Codes(INK_SET)),
    (0x014D, "InkNames", Show::Plain),
    (0x014E, "NumberofInks", Show::Plain),
    (0x0150, "DotRange", Show::Plain),
    (0x0151, "TargetPrinter", Show::Plain),
    (0x0152, "ExtraSamples", Show::Codes(EXTRA_SAMPLES)),
    (0x0153, "SampleFormat", Show::Codes(SAMPLE_FORMAT)),
    (0x0154, "SMinSampleValue", Show::Plain),
    (0x0155, "SMaxSampleValue", Show::Plain),
    (0x0156, "TransferRange", Show::Plain),
    (0x0157, "ClipPath", Show::Plain),
    (0x015B, "JPEGTables", Show::Plain),
    (0x0200, "JPEGProc", Show::Plain),
    (0x0201, "JPEGInterchangeFormat", Show::Plain),
    (0x0202, "JPEGInterchangeFormatLength", Show::Plain),
    (0x0211, "YCbCrCoefficients", Show::Plain),
    (0x0212, "YCbCrSubSampling", Show::Plain),
    (0x0213, "YCbCrPositioning", Show::Codes(YCB_CR_POSITIONING)),
    (0x0214, "ReferenceBlackWhite", Show::Plain),
    (0x4746, "Rating", Show::Plain),
    (0x828D, "CFARepeatPatternDim", Show::Plain),
    (0x828E, "CFAPattern", Show::Plain),
    (0x828F, "BatteryLevel", Show::Plain),
    (0x8298, "Copyright", Show::Plain),
    (0x829A, "ExposureTime", Show::Plain),
    (0x829D, "FNumber", Show::Plain),
    (0x83BB, "IPTC/NAA", Show::Plain),
    (0x8769, "ExifOffset", Show::Plain),
    (0x8773, "InterColorProfile", Show::Plain),
    (0x8822, "ExposureProgram", Show::Codes(EXPOSURE_PROGRAM)),
    (0x8824, "SpectralSensitivity", Show::Plain),
    (0x8825, "GPSInfo", Show::Gps),
    (0x8827, "ISOSpeedRatings", Show::Plain),
    (0x8828, "OECF", Show::Plain),
    (0x8829, "Interlace", Show::Plain),
    (0x882A, "TimeZoneOffset", Show::Plain),
    (0x882B, "SelfTimerMode", Show::Plain),
    (0x8830, "SensitivityType", Show::Codes(SENSITIVITY_TYPE)),
    (0x8832, "RecommendedExposureIndex", Show::Plain),
    (0x8833, "ISOSpeed", Show::Plain),
    (0x9000, "ExifVersion", Show::Text),
    (0x9003, "DateTimeOriginal", Show::Plain),
    (0x9004, "DateTimeDigitized", Show::Plain),
    (0x9010, "OffsetTime", Show::Plain),
    (0x9011, "OffsetTimeOriginal", Show::Plain),
    (0x9012, "OffsetTimeDigitized", Show::Plain),
    (0x9101, "ComponentsConfiguration", Show::Codes(COMPONENTS_CONFIGURATION)),
    (0x9102, "CompressedBitsPerPixel", Show::Plain),
    (0x9201, "ShutterSpeedValue", Show::Plain),
    (0x9202, "ApertureValue", Show::Plain),
    (0x9203, "BrightnessValue", Show::Plain),
    (0x9204, "ExposureBiasValue", Show::Plain),
    (0x9205, "MaxApertureValue", Show::Plain),
    (0x9206, "SubjectDistance", Show::Plain),
    (0x9207, "MeteringMode", Show::Codes(METERING_MODE)),
    (0x9208, "LightSource", Show::Codes(LIGHT_SOURCE)),
    (0x9209, "Flash", Show::Codes(FLASH)),
    (0x920A, "FocalLength", Show::Plain),
    (0x920B, "FlashEnergy", Show::Plain),
    (0x920C, "SpatialFrequencyResponse", Show::Plain),
    (0x920D, "Noise", Show::Plain),
    (0x9211, "ImageNumber", Show::Plain),
    (0x9212, "SecurityClassification", Show::Plain),
    (0x9213, "ImageHistory", Show::Plain),
    (0x9214, "SubjectArea", Show::Plain),
    (0x9215, "ExposureIndex", Show::Plain),
    (0x9216, "TIFF/EPStandardID", Show::Plain),
    (0x9290, "SubSecTime", Show::Plain),
    (0x9291, "SubSecTimeOriginal", Show::Plain),
    (0x9292, "SubSecTimeDigitized", Show::Plain),
    (0x9C9B, "XPTitle", Show::Plain),
    (0x9C9C, "XPComment", Show::Plain),
    (0x9C9D, "XPAuthor", Show::Text),
    (0x9C9E, "XPKeywords", Show::Plain),
    (0x9C9F, "XPSubject", Show::Plain),
    (0xA000, "FlashPixVersion", Show::Text),
    (0xA001, "ColorSpace", Show::Codes(COLOR_SPACE)),
    (0xA002, "ExifImageWidth", Show::Plain),
    (0xA003, "ExifImageLength", Show::Plain),
    (0xA004, "RelatedSoundFile", Show::Plain),
    (0xA005, "InteroperabilityOffset", Show::Interop),
    (0xA20B, "FlashEnergy", Show::Plain),
    (0xA20C, "SpatialFrequencyResponse", Show::Plain),
    (0xA20E, "FocalPlaneXResolution", Show::Plain),
    (0xA20F, "FocalPlaneYResolution", Show::Plain),
    (0xA210, "FocalPlaneResolutionUnit", Show::Plain),
    (0xA214, "SubjectLocation", Show::Plain),
    (0xA215, "ExposureIndex", Show::Plain),
    (0xA217, "SensingMethod", Show::Codes(SENSING_METHOD)),
    (0xA300, "FileSource", Show::Codes(FILE_SOURCE)),
    (0xA301, "SceneType", Show::Codes(SCENE_TYPE)),
    (0xA302, "CVAPattern", Show::Plain),
    (0xA401, "CustomRendered", Show::Codes(CUSTOM_RENDERED)),
    (0xA402, "ExposureMode", Show::Codes(EXPOSURE_MODE)),
    (0xA403, "WhiteBalance", Show::Codes(WHITE_BALANCE)),
    (0xA404, "DigitalZoomRatio", Show::Plain),
    (0xA405, "FocalLengthIn35mmFilm", Show::Plain),
    (0xA406, "SceneCaptureType", Show::Codes(SCENE_CAPTURE_TYPE)),
    (0xA407, "GainControl", Show::Codes(GAIN_CONTROL)),
    (0xA408, "Contrast", Show::Codes(CONTRAST)),
    (0xA409, "Saturation", Show::Codes(CONTRAST)),
    (0xA40A, "Sharpness", Show::Codes(CONTRAST)),
    (0xA40B, "DeviceSettingDescription", Show::Plain),
    (0xA40C, "SubjectDistanceRange", Show::Plain),
    (0xA420, "ImageUniqueID", Show::Plain),
    (0xA430, "CameraOwnerName", Show::Plain),
    (0xA431, "BodySerialNumber", Show::Plain),
    (0xA432, "LensSpecification", Show::Plain),
    (0xA433, "LensMake", Show::Plain),
    (0xA434, "LensModel", Show::Plain),
    (0xA435, "LensSerialNumber", Show::Plain),
    (0xA500, "Gamma", Show::Plain),
    (0xC4A5, "PrintIM", Show::Plain),
    (0xC61A, "BlackLevel", Show::Plain),
    (0xEA1C, "Padding", Show::Plain),
    (0xEA1D, "OffsetSchema", Show::Plain),
    (0xFDE8, "OwnerName", Show::Plain),
    (0xFDE9, "SerialNumber", Show::Plain),
];

#[rustfmt::skip]
const SUBFILE_TYPE: &[(u32, &str)] = &[
    (0, "Full-resolution Image"),
    (1, "Reduced-resolution image"),
    (2, "Single page of multi-page image"),
    (3, "Single page of multi-page reduced-resolution image"),
    (4, "Transparency mask"),
    (5, "Transparency mask of reduced-resolution image"),
    (6, "Transparency mask of multi-page image"),
    (7, "Transparency mask of reduced-resolution multi-page image"),
    (0x10001, "Alternate reduced-resolution image"),
    (0xffffffff, "invalid "),
];

#[rustfmt::skip]
const OLD_SUBFILE_TYPE: &[(u32, &str)] = &[
    (1, "Full-resolution image"),
    (2, "Reduced-resolution image"),
    (3, "Single page of multi-page image"),
];

#[rustfmt::skip]
const COMPRESSION: &[(u32, &str)] = &[
    (1, "Uncompressed"),
    (2, "CCITT 1D"),
    (3, "T4/Group 3 Fax"),
    (4, "T6/Group 4 Fax"),
    (5, "LZW"),
    (6, "JPEG (old-style)"),
    (7, "JPEG"),
    (8, "Adobe Deflate"),
    (9, "JBIG B&W"),
    (10, "JBIG Color"),
    (32766, "Next"),
    (32769, "Epson ERF Compressed"),
    (32771, "CCIRLEW"),
    (32773, "PackBits"),
    (32809, "Thunderscan"),
    (32895, "IT8CTPAD"),
    (32896, "IT8LW"),
    (32897, "IT8MP"),
    (32898, "IT8BL"),
    (32908, "PixarFilm"),
    (32909, "PixarLog"),
    (32946, "Deflate"),
    (32947, "DCS"),
    (34661, "JBIG"),
    (34676, "SGILog"),
    (34677, "SGILog24"),
    (34712, "JPEG 2000"),
    (34713, "Nikon NEF Compressed"),
    (65000, "Kodak DCR Compressed"),
    (65535, "Pentax PEF Compressed"),
];

#[rustfmt::skip]
const ORIENTATION: &[(u32, &str)] = &[
    (1, "Horizontal (normal)"),
    (2, "Mirrored horizontal"),
    (3, "Rotated 180"),
    (4, "Mirrored vertical"),
    (5, "Mirrored horizontal then rotated 90 CCW"),
    (6, "Rotated 90 CW"),
    (7, "Mirrored horizontal then rotated 90 CW"),
    (8, "Rotated 90 CCW"),
];

#[rustfmt::skip]
const GRAY_RESPONSE_UNIT: &[(u32, &str)] = &[
    (1, "0.1"),
    (2, "0.001"),
    (3, "0.0001"),
    (4, "1e-05"),
    (5, "1e-06"),
];

#[rustfmt::skip]
const RESOLUTION_UNIT: &[(u32, &str)] = &[
    (1, "Not Absolute"),
    (2, "Pixels/Inch"),
    (3, "Pixels/Centimeter"),
];

#[rustfmt::skip]
const PREDICTOR: &[(u32, &str)] = &[
    (1, "None"),
    (2, "Horizontal differencing"),
];

#[rustfmt::skip]
const CLEAN_FAX_DATA: &[(u32, &str)] = &[
    (0, "Clean"),
    (1, "Regenerated"),
    (2, "Unclean"),
];

#[rustfmt::skip]
const INK_SET: &[(u32, &str)] = &[
    (1, "CMYK"),
    (2, "Not CMYK"),
];

#[rustfmt::skip]
const EXTRA_SAMPLES: &[(u32, &str)] = &[
    (0, "Unspecified"),
    (1, "Associated Alpha"),
    (2, "Unassociated Alpha"),
];

#[rustfmt::skip]
const SAMPLE_FORMAT: &[(u32, &str)] = &[
    (1, "Unsigned"),
    (2, "Signed"),
    (3, "Float"),
    (4, "Undefined"),
    (5, "Complex int"),
    (6, "Complex float"),
];

#[rustfmt::skip]
const YCB_CR_POSITIONING: &[(u32, &str)] = &[
    (1, "Centered"),
    (2, "Co-sited"),
];

#[rustfmt::skip]
const EXPOSURE_PROGRAM: &[(u32, &str)] = &[
    (0, "Unidentified"),
    (1, "Manual"),
    (2, "Program Normal"),
    (3, "Aperture Priority"),
    (4, "Shutter Priority"),
    (5, "Program Creative"),
    (6, "Program Action"),
    (7, "Portrait Mode"),
    (8, "Landscape Mode"),
];

#[rustfmt::skip]
const SENSITIVITY_TYPE: &[(u32, &str)] = &[
    (0, "Unknown"),
    (1, "Standard Output Sensitivity"),
    (2, "Recommended Exposure Index"),
    (3, "ISO Speed"),
    (4, "Standard Output Sensitivity and Recommended Exposure Index"),
    (5, "Standard Output Sensitivity and ISO Speed"),
    (6, "Recommended Exposure Index and ISO Speed"),
    (7, "Standard Output Sensitivity, Recommended Exposure Index and ISO Speed"),
];

#[rustfmt::skip]
const COMPONENTS_CONFIGURATION: &[(u32, &str)] = &[
    (0, ""),
    (1, "Y"),
    (2, "Cb"),
    (3, "Cr"),
    (4, "Red"),
    (5, "Green"),
    (6, "Blue"),
];

#[rustfmt::skip]
const METERING_MODE: &[(u32, &str)] = &[
    (0, "Unidentified"),
    (1, "Average"),
    (2, "CenterWeightedAverage"),
    (3, "Spot"),
    (4, "MultiSpot"),
    (5, "Pattern"),
    (6, "Partial"),
    (255, "other"),
];

#[rustfmt::skip]
const LIGHT_SOURCE: &[(u32, &str)] = &[
    (0, "Unknown"),
    (1, "Daylight"),
    (2, "Fluorescent"),
    (3, "Tungsten (incandescent light)"),
    (4, "Flash"),
    (9, "Fine weather"),
    (10, "Cloudy weather"),
    (11, "Shade"),
    (12, "Daylight fluorescent (D 5700 - 7100K)"),
    (13, "Day white fluorescent (N 4600 - 5400K)"),
    (14, "Cool white fluorescent (W 3900 - 4500K)"),
    (15, "White fluorescent (WW 3200 - 3700K)"),
    (17, "Standard light A"),
    (18, "Standard light B"),
    (19, "Standard light C"),
    (20, "D55"),
    (21, "D65"),
    (22, "D75"),
    (23, "D50"),
    (24, "ISO studio tungsten"),
    (255, "other light source"),
];

#[rustfmt::skip]
const FLASH: &[(u32, &str)] = &[
    (0, "Flash did not fire"),
    (1, "Flash fired"),
    (5, "Strobe return light not detected"),
    (7, "Strobe return light detected"),
    (9, "Flash fired, compulsory flash mode"),
    (13, "Flash fired, compulsory flash mode, return light not detected"),
    (15, "Flash fired, compulsory flash mode, return light detected"),
    (16, "Flash did not fire, compulsory flash mode"),
    (24, "Flash did not fire, auto mode"),
    (25, "Flash fired, auto mode"),
    (29, "Flash fired, auto mode, return light not detected"),
    (31, "Flash fired, auto mode, return light detected"),
    (32, "No flash function"),
    (65, "Flash fired, red-eye reduction mode"),
    (69, "Flash fired, red-eye reduction mode, return light not detected"),
    (71, "Flash fired, red-eye reduction mode, return light detected"),
    (73, "Flash fired, compulsory flash mode, red-eye reduction mode"),
    (77, "Flash fired, compulsory flash mode, red-eye reduction mode, return light not detected"),
    (79, "Flash fired, compulsory flash mode, red-eye reduction mode, return light detected"),
    (89, "Flash fired, auto mode, red-eye reduction mode"),
    (93, "Flash fired, auto mode, return light not detected, red-eye reduction mode"),
    (95, "Flash fired, auto mode, return light detected, red-eye reduction mode"),
];

#[rustfmt::skip]
const COLOR_SPACE: &[(u32, &str)] = &[
    (1, "sRGB"),
    (2, "Adobe RGB"),
    (65535, "Uncalibrated"),
];

#[rustfmt::skip]
const SENSING_METHOD: &[(u32, &str)] = &[
    (1, "Not defined"),
    (2, "One-chip color area"),
    (3, "Two-chip color area"),
    (4, "Three-chip color area"),
    (5, "Color sequential area"),
    (7, "Trilinear"),
    (8, "Color sequential linear"),
];

#[rustfmt::skip]
const FILE_SOURCE: &[(u32, &str)] = &[
    (1, "Film Scanner"),
    (2, "Reflection Print Scanner"),
    (3, "Digital Camera"),
];

#[rustfmt::skip]
const SCENE_TYPE: &[(u32, &str)] = &[
    (1, "Directly Photographed"),
];

#[rustfmt::skip]
const CUSTOM_RENDERED: &[(u32, &str)] = &[
    (0, "Normal"),
    (1, "Custom"),
];

#[rustfmt::skip]
const EXPOSURE_MODE: &[(u32, &str)] = &[
    (0, "Auto Exposure"),
    (1, "Manual Exposure"),
    (2, "Auto Bracket"),
];

#[rustfmt::skip]
const WHITE_BALANCE: &[(u32, &str)] = &[
    (0, "Auto"),
    (1, "Manual"),
];

#[rustfmt::skip]
const SCENE_CAPTURE_TYPE: &[(u32, &str)] = &[
    (0, "Standard"),
    (1, "Landscape"),
    (2, "Portrait"),
    (3, "Night"),
];

#[rustfmt::skip]
const GAIN_CONTROL: &[(u32, &str)] = &[
    (0, "None"),
    (1, "Low gain up"),
    (2, "High gain up"),
    (3, "Low gain down"),
    (4, "High gain down"),
];

#[rustfmt::skip]
const CONTRAST: &[(u32, &str)] = &[
    (0, "Normal"),
    (1, "Soft"),
    (2, "Hard"),
];
