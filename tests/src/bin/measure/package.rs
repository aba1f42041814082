//! The package as Lambda takes it: one file, `bootstrap`, deflated.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use lifeboat_tests::world::WorldError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Zips a binary into `folder` and says how large the zip is, in bytes.
pub fn zipped_size(binary: &Path, folder: &Path) -> Result<u64, WorldError> {
    let path = folder.join(binary.file_name().unwrap_or_default()).with_extension("zip");
    let what = || format!("zip {} as {}", binary.display(), path.display());
    std::fs::create_dir_all(folder).map_err(|source| WorldError::failed(what(), source))?;
    zip(binary, &path).map_err(|source| WorldError::failed(what(), source))?;
    size(&path)
}

/// The size of a file in bytes.
pub fn size(file: &Path) -> Result<u64, WorldError> {
    std::fs::metadata(file)
        .map(|file| file.len())
        .map_err(|source| WorldError::failed(format!("look at {}", file.display()), source))
}

fn zip(binary: &Path, path: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut zip = ZipWriter::new(BufWriter::new(File::create(path)?));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::default())
        .unix_permissions(0o755);
    zip.start_file("bootstrap", options)?;
    io::copy(&mut BufReader::new(File::open(binary)?), &mut zip)?;
    zip.finish()?.flush()?;
    Ok(())
}
