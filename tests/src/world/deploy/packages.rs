//! All packages of Lambdas and the definition, as the deploy guide has them uploaded.

use lifeboat_rules::evidence::sha256;

use super::{Packing, package, upload};
use crate::FUNCTIONS;
use crate::definition::Definition;
use crate::world::error::{Doing as _, WorldError};
use crate::world::{Clients, World, places};

/// Uploads them below a prefix that is made of their digests; returns the prefix and the definition's key.
///
/// # Errors
/// Where a binary has not been built, or an upload fails.
pub async fn upload_packages(
    world: &World,
    clients: &Clients,
    bucket: &str,
) -> Result<(String, String), WorldError> {
    let (mut packages, mut digests) = (Vec::new(), String::new());
    for function in FUNCTIONS {
        let package = package(&places::binary(function)?, &world.run().scratch(), Packing::Stored)?;
        digests.push_str(&package.sha256);
        packages.push((function, package));
    }
    let definition = Definition::path();
    digests
        .push_str(&std::fs::read_to_string(&definition).doing(|| format!("read {}", definition.display()))?);
    let prefix = format!("packages/{}/", sha256(digests.as_bytes()));
    for (function, package) in packages {
        upload(clients, bucket, &format!("{prefix}{function}.zip"), &package.path).await?;
    }
    let key = format!("{prefix}failover.asl.json");
    upload(clients, bucket, &key, &definition).await?;
    Ok((prefix, key))
}
