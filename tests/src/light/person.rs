//! Persons: users of the account, each with a key of their own.

use std::process::Output;

use aws_config::SdkConfig;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use serde_json::Value;

use super::Stage;
use crate::world::error::WorldError;
use crate::world::{ACCOUNT, World, clients};

/// A user, by an access key.
#[derive(Clone, Debug)]
pub struct Person {
    /// The user's ARN.
    pub arn: String,
    key: String,
    secret: String,
}

impl Person {
    /// Makes a user of this name, and a key.
    ///
    /// # Errors
    /// Where the emulator does not take it.
    pub async fn new(world: &World, name: &str) -> Result<Person, WorldError> {
        let endpoint = world.endpoint();
        let ask = async |args: &[&str]| world.venv().aws(&endpoint, world.recovery(), args).await;
        let made = ask(&["iam", "create-user", "--user-name", name]).await?;
        let key = ask(&["iam", "create-access-key", "--user-name", name]).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Person {
            arn: text(&made["User"]["Arn"]),
            key: text(&key["AccessKey"]["AccessKeyId"]),
            secret: text(&key["AccessKey"]["SecretAccessKey"]),
        })
    }

    /// The account's root user.
    pub fn root() -> Person {
        let arn = format!("arn:aws:iam::{ACCOUNT}:root");
        Person { arn, key: clients::ACCESS_KEY.to_owned(), secret: clients::SECRET_KEY.to_owned() }
    }

    /// How the person reaches the emulator in the recovery Region.
    pub fn config(&self, stage: &Stage) -> SdkConfig {
        let credentials = Credentials::new(&self.key, &self.secret, None, None, "a test");
        let provider = SharedCredentialsProvider::new(credentials);
        stage.clients.config.clone().into_builder().credentials_provider(provider).build()
    }
}

impl Stage {
    /// Runs the `lifeboat` command as this person would.
    ///
    /// # Errors
    /// As [`Stage::lifeboat`].
    pub async fn lifeboat_as(&self, person: &Person, args: &[&str]) -> Result<Output, WorldError> {
        let own =
            [("AWS_ACCESS_KEY_ID", person.key.clone()), ("AWS_SECRET_ACCESS_KEY", person.secret.clone())];
        self.lifeboat_with(&own, args).await
    }
}
