"""The emulator as the tests of policies need it: `python enforcing.py`, in place of `python -m ministack`.

It enforces IAM by itself when AUTH=true. What it lacks for the policies of this repository is added here, and no more:

* The condition keys `s3:if-none-match` and `s3:if-match`, which S3 sets from the headers of those names on PutObject,
  CopyObject and CompleteMultipartUpload. The calls that begin a multipart upload and send its parts take no conditional header, so for
  them the key is absent whatever the client sends.
* The condition key `aws:PrincipalArn` of a role that was taken: on AWS the ARN of the role, in the emulator that of the
  session. No role here has a path.
* CloudWatch's PutMetricData, which it lets everybody do in the form in which the SDK asks (the operation is in the path,
  the body is CBOR), with its condition key `cloudwatch:namespace`. Metrics have no ARN.
* TLS beside plain HTTP, on the same port of TLS_HOST, so that `aws:SecureTransport` is true of one and false of the
  other for real. The certificate is made here and lives as long as this process's folder.
"""

import datetime
import ipaddress
import os
from pathlib import Path

import cbor2
import hypercorn.asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ministack import app
from ministack.core import iam_actions, iam_evaluator

TLS_HOST = os.environ["TLS_HOST"]
CERTIFICATE = Path(os.environ["TLS_CERTIFICATE"])
KEY = CERTIFICATE.with_suffix(".key")

_emulated_context = iam_actions.s3_service_context
_emulated_action = iam_actions.extract_iam_action
_emulated_resource = iam_actions.extract_resource_arn
_emulated_tags = iam_actions.request_tag_context
_emulated_key = iam_evaluator._resolve_condition_key
_serve = hypercorn.asyncio.serve


def context_with_conditional_put(iam_action, query_params, path="", headers=None):
    context = _emulated_context(iam_action, query_params, path, headers)
    takes_no_condition = {"uploads", "partNumber"} & set(query_params or {})
    for header in ("if-none-match", "if-match"):
        condition = (headers or {}).get(header)
        if iam_action == "s3:PutObject" and condition and not takes_no_condition:
            context[f"s3:{header}"] = condition
    return context


def action_by_the_path(service, method, path, headers, body, query_params):
    if service == "monitoring" and path.endswith("/operation/PutMetricData"):
        return "cloudwatch:PutMetricData"
    return _emulated_action(service, method, path, headers, body, query_params)


def resource_of_no_metric(service, method, path, *rest):
    if service == "monitoring" and path.endswith("/operation/PutMetricData"):
        return "*"
    return _emulated_resource(service, method, path, *rest)


def context_with_namespace(service, iam_action, body, params):
    context = _emulated_tags(service, iam_action, body, params)
    if iam_action == "cloudwatch:PutMetricData":
        context["cloudwatch:namespace"] = cbor2.loads(body)["Namespace"]
    return context


def key_with_the_role_of_a_session(key, context):
    value = _emulated_key(key, context)
    if key.lower() == "aws:principalarn" and context.principal_type == "AssumedRole":
        partition, account = value.split(":")[1], value.split(":")[4]
        return f"arn:{partition}:iam::{account}:role/{value.split('/')[1]}"
    return value


def serve_with_tls(application, config, **rest):
    make_certificate()
    port = os.environ["GATEWAY_PORT"]
    config.insecure_bind, config.bind = config.bind, [f"{TLS_HOST}:{port}"]
    config.certfile, config.keyfile = str(CERTIFICATE), str(KEY)
    # S3 speaks nothing newer.
    config.alpn_protocols = ["http/1.1"]
    return _serve(application, config, **rest)


def make_certificate():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the local world")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(TLS_HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    CERTIFICATE.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    KEY.touch(mode=0o600)
    KEY.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


iam_actions.s3_service_context = context_with_conditional_put
iam_actions.extract_iam_action = action_by_the_path
iam_actions.extract_resource_arn = resource_of_no_metric
iam_actions.request_tag_context = context_with_namespace
iam_evaluator._resolve_condition_key = key_with_the_role_of_a_session
hypercorn.asyncio.serve = serve_with_tls
app.main()
