//! Buckets and objects, by the S3 API.

use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, DefaultRetention,
    ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode, ObjectLockRule,
    VersioningConfiguration,
};

use crate::world::clients::Clients;
use crate::world::error::{Doing as _, WorldError};

/// A bucket to make.
#[derive(Debug, Clone)]
pub struct Bucket {
    name: String,
    versioned: bool,
    locked_for_days: Option<i32>,
}

impl Bucket {
    /// A plain bucket.
    pub fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), versioned: false, locked_for_days: None }
    }

    /// A bucket that keeps every version.
    pub fn versioned(name: &str) -> Self {
        Self { versioned: true, ..Self::plain(name) }
    }

    /// A bucket with Object Lock in compliance mode: what is put there cannot be changed or removed for so long.
    pub fn locked(name: &str, days: i32) -> Self {
        Self { locked_for_days: Some(days), ..Self::versioned(name) }
    }
}

/// Makes a bucket in the clients' Region.
pub async fn create_bucket(clients: &Clients, bucket: &Bucket) -> Result<(), WorldError> {
    let name = &bucket.name;
    let place = BucketLocationConstraint::from(clients.region.as_str());
    clients
        .s3
        .create_bucket()
        .bucket(name)
        // us-east-1 is the one Region that must not be named here.
        .set_create_bucket_configuration(
            (clients.region != "us-east-1")
                .then(|| CreateBucketConfiguration::builder().location_constraint(place).build()),
        )
        .set_object_lock_enabled_for_bucket(bucket.locked_for_days.map(|_| true))
        .send()
        .await
        .doing(|| format!("create the bucket {name} in {}", clients.region))?;
    if bucket.versioned {
        keep_versions(clients, name).await?;
    }
    match bucket.locked_for_days {
        Some(days) => lock_objects(clients, name, days).await,
        None => Ok(()),
    }
}

/// Gives a bucket that is already there Object Lock in compliance mode. The emulator's CloudFormation ignores
/// `ObjectLockEnabled`, so a bucket that a stack has made gets its lock from here.
pub async fn lock_objects(clients: &Clients, bucket: &str, days: i32) -> Result<(), WorldError> {
    keep_versions(clients, bucket).await?;
    let retention = DefaultRetention::builder().mode(ObjectLockRetentionMode::Compliance).days(days).build();
    let lock = ObjectLockConfiguration::builder()
        .object_lock_enabled(ObjectLockEnabled::Enabled)
        .rule(ObjectLockRule::builder().default_retention(retention).build())
        .build();
    let put = clients.s3.put_object_lock_configuration().bucket(bucket).object_lock_configuration(lock);
    put.send().await.doing(|| format!("lock the objects of {bucket}"))?;
    Ok(())
}

async fn keep_versions(clients: &Clients, bucket: &str) -> Result<(), WorldError> {
    let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    let put = clients.s3.put_bucket_versioning().bucket(bucket).versioning_configuration(on);
    put.send().await.doing(|| format!("turn on the versions of {bucket}"))?;
    Ok(())
}

/// Puts a file into a bucket.
pub async fn upload(clients: &Clients, bucket: &str, key: &str, file: &Path) -> Result<(), WorldError> {
    let what = || format!("upload {} to s3://{bucket}/{key}", file.display());
    let body = ByteStream::from_path(file).await.doing(what)?;
    clients.s3.put_object().bucket(bucket).key(key).body(body).send().await.doing(what)?;
    Ok(())
}
