//! Lambda packages: a native binary, zipped as `bootstrap`.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::world::error::{Doing as _, WorldError};

/// A zipped function.
#[derive(Debug, Clone)]
pub struct Package {
    /// The zip.
    pub path: PathBuf,
    /// Its SHA-256, in hex: the package's name in the control bucket.
    pub sha256: String,
}

/// How the one file lies in the zip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As it is: for one that travels over loopback once, packing tens of megabytes takes longer than sending them.
    Stored,
    /// As small as deflate makes it: what is deployed to AWS.
    Deflated,
}

/// Zips a binary as `bootstrap` into `folder`, named after the binary. The same binary always gives the same bytes.
pub fn package(binary: &Path, folder: &Path, packing: Packing) -> Result<Package, WorldError> {
    let name = binary.file_stem().unwrap_or(binary.as_os_str()).to_string_lossy().into_owned();
    let path = folder.join(format!("{name}.zip"));
    let doing = || format!("package {} as {}", binary.display(), path.display());
    std::fs::create_dir_all(folder).doing(doing)?;
    zip(binary, &path, packing).doing(doing)?;
    let sha256 = digest(&path).doing(doing)?;
    Ok(Package { path, sha256 })
}

fn zip(binary: &Path, path: &Path, packing: Packing) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut zip = ZipWriter::new(BufWriter::new(File::create(path)?));
    let (method, level) = match packing {
        Packing::Stored => (CompressionMethod::Stored, None),
        Packing::Deflated => (CompressionMethod::Deflated, Some(9)),
    };
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .compression_level(level)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o755);
    zip.start_file("bootstrap", options)?;
    io::copy(&mut BufReader::new(File::open(binary)?), &mut zip)?;
    zip.finish()?.flush()?;
    Ok(())
}

fn digest(path: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut file = File::open(path)?;
    let mut block = vec![0; 1 << 16];
    loop {
        match io::Read::read(&mut file, &mut block)? {
            0 => return Ok(hex::encode(digest.finalize())),
            length => digest.update(&block[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_package_holds_an_executable_bootstrap_and_is_always_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("health-check");
        std::fs::write(&binary, b"not really a program").unwrap();
        let one = package(&binary, &folder.path().join("one"), Packing::Stored).unwrap();
        let two = package(&binary, &folder.path().join("two"), Packing::Stored).unwrap();
        assert_eq!(one.sha256, two.sha256);
        assert!(one.path.ends_with("one/health-check.zip"));

        let mut archive = zip::ZipArchive::new(File::open(&one.path).unwrap()).unwrap();
        let mut entry = archive.by_name("bootstrap").unwrap();
        assert_eq!(entry.unix_mode().map(|mode| mode & 0o777), Some(0o755));
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"not really a program");
    }
}
