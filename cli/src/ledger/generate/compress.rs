//! What each object is compressed with.

use std::io::Write as _;

/// A compression that a reader recognises by its first bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// RFC 1952, as a delivery stream does.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    pub(super) fn compress(self, bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Compression::None => bytes,
            Compression::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                out.write_all(&bytes)
                    .and_then(|()| out.finish())
                    .expect("a vector takes what is written to it")
            }
            Compression::Zstd => zstd::encode_all(bytes.as_slice(), zstd::DEFAULT_COMPRESSION_LEVEL)
                .expect("a slice can be read"),
        }
    }

    /// What a delivery stream appends to its keys.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
        }
    }
}
