//! An emulator that asks IAM: who calls, by whose key, over which transport, and what every policy says to it.
//!
//! It stands alone, without proxy, DNS and containers: policies need none of them. `enforcing.py` says what it adds to
//! the emulator's own evaluation. No policy binds the account's root user here; on AWS a bucket's does, except in the
//! right to change that policy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use serde_json::Value;

use super::clients::Clients;
use super::error::{Doing as _, WorldError};
use super::ministack::MiniStack;
use super::run_folder::RunFolder;
use super::venv::Venv;
use super::{places, prerequisites};

/// Where TLS is spoken, on the port on which 127.0.0.1 speaks plain HTTP.
const TLS_HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// The credentials of somebody who is neither the root user nor a service.
#[derive(Debug, Clone)]
pub struct Caller(Credentials);

impl Caller {
    fn of(answer: &Value) -> Self {
        let text = |field: &str| answer[field].as_str().map(str::to_owned);
        let (key, secret) =
            (text("AccessKeyId").unwrap_or_default(), text("SecretAccessKey").unwrap_or_default());
        Self(Credentials::new(key, secret, text("SessionToken"), None, "the local world"))
    }
}

/// A running emulator that enforces IAM; dropping it ends it.
#[derive(Debug)]
pub struct EnforcingAws {
    ministack: MiniStack,
    region: String,
    tls: aws_sdk_s3::config::SharedHttpClient,
    venv: Venv,
    run: RunFolder,
}

impl EnforcingAws {
    /// Starts one.
    ///
    /// # Errors
    /// What the machine lacks, or why the emulator did not start.
    pub async fn start(region: &str) -> Result<Self, WorldError> {
        let venv = tokio::task::spawn_blocking(|| {
            let found = prerequisites::look().map_err(WorldError::Missing)?;
            Venv::ensure(&found, &|line| anstream::eprintln!("{line}"))
        });
        let venv = venv.await.doing(|| "look at this machine".to_owned())??;
        let run = RunFolder::create(&places::target()?.join("drill"))?;
        let certificate = run.scratch().join("tls.pem");
        let script = places::repository().join("tests/src/world/enforcing.py");
        // No Lambda runs here, so none needs an endpoint.
        let ministack = MiniStack::start_as(&venv, &run, "http://127.0.0.1:9", |mut program| {
            program.args = vec![script.clone().into()];
            program
                .env("AUTH", "true")
                .env("TLS_HOST", TLS_HOST.to_string())
                .env("TLS_CERTIFICATE", &certificate)
        })
        .await?;
        let trusted = std::fs::read(&certificate).doing(|| format!("read {}", certificate.display()))?;
        let context = TlsContext::builder()
            .with_trust_store(TrustStore::empty().with_pem_certificate(trusted))
            .build()
            .doing(|| "trust the emulator's certificate".to_owned())?;
        let tls = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context)
            .build_https();
        Ok(Self { ministack, region: region.to_owned(), tls, venv, run })
    }

    /// The run folder.
    pub fn run(&self) -> &RunFolder {
        &self.run
    }

    /// The account's root user, whom no policy binds here: what sets the stage.
    pub fn root(&self) -> Clients {
        Clients::new(&self.ministack.endpoint(), &self.region)
    }

    /// A caller, as everybody should call: over TLS.
    pub fn clients(&self, caller: &Caller) -> Clients {
        let address = SocketAddr::new(TLS_HOST, self.ministack.address().port());
        self.signed_by(caller, &format!("https://{address}"))
    }

    /// A caller over plain HTTP.
    pub fn plain_clients(&self, caller: &Caller) -> Clients {
        self.signed_by(caller, &self.ministack.endpoint())
    }

    fn signed_by(&self, caller: &Caller, endpoint: &str) -> Clients {
        let config = Clients::new(endpoint, &self.region).config.into_builder();
        let provider = SharedCredentialsProvider::new(caller.0.clone());
        Clients::of(config.credentials_provider(provider).http_client(self.tls.clone()).build())
    }

    /// A user, by a new access key.
    ///
    /// # Errors
    /// Where there is no such user.
    pub async fn user(&self, name: &str) -> Result<Caller, WorldError> {
        let answer = self.ask(&["iam", "create-access-key", "--user-name", name]).await?;
        Ok(Caller::of(&answer["AccessKey"]))
    }

    /// Takes a role whose trust policy lets anybody take it.
    ///
    /// # Errors
    /// Where the role cannot be taken.
    pub async fn role(&self, name: &str) -> Result<Caller, WorldError> {
        let arn = format!("arn:aws:iam::{}:role/{name}", super::ACCOUNT);
        let answer =
            self.ask(&["sts", "assume-role", "--role-session-name", "test", "--role-arn", &arn]).await?;
        Ok(Caller::of(&answer["Credentials"]))
    }

    async fn ask(&self, args: &[&str]) -> Result<Value, WorldError> {
        self.venv.aws(&self.ministack.endpoint(), &self.region, args).await
    }
}
