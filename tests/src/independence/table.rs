//! Which plane of which Region an operation needs, and the right that it takes: the one table that is typed, not derived.

/// The definition of the two planes.
pub const PLANES: &str = "https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/control-planes-and-data-planes.html";
/// What has its control plane in one Region alone, S3's bucket configuration among it.
pub const GLOBAL: &str =
    "https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/global-services.html";
/// Route 53's planes.
pub const EDGE: &str = "https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/appendix-b---edge-network-global-service-guidance.html";

/// What an operation needs to be up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// The data plane of the recovery Region.
    Data,
    /// A control plane of the recovery Region; each is named in the page.
    Control,
    /// The network between the Regions, and whoever answers there. What does not answer is an observation, never an error.
    Network,
    /// A control plane in us-east-1.
    UsEast1,
}

impl Needs {
    /// In a person's words.
    pub fn words(self) -> &'static str {
        match self {
            Needs::Data => "data plane, recovery Region",
            Needs::Control => "control plane, recovery Region",
            Needs::Network => "network",
            Needs::UsEast1 => "**control plane, us-east-1**",
        }
    }
}

/// What is known of one operation.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The SDK's name of the service, or `http`, `tcp`, `dns`.
    pub service: &'static str,
    /// The service in a person's words.
    pub called: &'static str,
    /// As AWS spells it.
    pub operation: &'static str,
    /// What it needs.
    pub needs: Needs,
    /// The rights that a role must have for it.
    pub rights: &'static [&'static str],
    /// Rights that it may use besides, by its arguments.
    pub may_use: &'static [&'static str],
    /// Where AWS says so.
    pub source: &'static str,
}

const fn known(
    service: &'static str,
    called: &'static str,
    operation: &'static str,
    needs: Needs,
    rights: &'static [&'static str],
    source: &'static str,
) -> Known {
    Known { service, called, operation, needs, rights, may_use: &[], source }
}

const S3: &str = "S3";
const CFN: &str = "CloudFormation";
const CW: &str = "CloudWatch";
const KMS: &str = "KMS";
const SFN: &str = "Step Functions";
const STS: &str = "STS";
const SNS: &str = "SNS";
const R53: &str = "Route 53";

/// Every operation that a function may call. AWS has no list by operation: what creates, reads, updates, deletes or lists a
/// resource is its control plane, by the definition at [`PLANES`]; in doubt it counts as that here.
pub const OPERATIONS: &[Known] = &[
    Known {
        // A plan and a witness are read in the version that was named; and without the right to list, S3 answers 403 for a key
        // that does not exist.
        may_use: &["s3:GetObjectVersion", "s3:ListBucket"],
        ..known("s3", S3, "GetObject", Needs::Data, &["s3:GetObject"], GLOBAL)
    },
    known("s3", S3, "PutObject", Needs::Data, &["s3:PutObject"], GLOBAL),
    known("s3", S3, "ListObjectsV2", Needs::Data, &["s3:ListBucket"], GLOBAL),
    known("cloudwatch", CW, "PutMetricData", Needs::Data, &["cloudwatch:PutMetricData"], PLANES),
    known("cloudwatch", CW, "DescribeAlarms", Needs::Control, &["cloudwatch:DescribeAlarms"], PLANES),
    known("kms", KMS, "Sign", Needs::Data, &["kms:Sign"], PLANES),
    known("kms", KMS, "GetPublicKey", Needs::Control, &["kms:GetPublicKey"], PLANES),
    // At the Region's own endpoint, and asked of by a signature that is somebody else's: it takes no right.
    known("sts", STS, "GetCallerIdentity", Needs::Data, &[], GLOBAL),
    known("sfn", SFN, "StartExecution", Needs::Data, &["states:StartExecution"], PLANES),
    known("sfn", SFN, "DescribeExecution", Needs::Control, &["states:DescribeExecution"], PLANES),
    // It tells people; nothing waits for it longer than seconds, and no run ends by it.
    known("sns", SNS, "Publish", Needs::Data, &["sns:Publish"], PLANES),
    known(
        "cloudformation",
        CFN,
        "CreateStack",
        Needs::Control,
        // It hands its role on, tags what it makes, and the template is read with the caller's rights.
        &["cloudformation:CreateStack", "iam:PassRole", "cloudformation:TagResource", "s3:GetObject"],
        PLANES,
    ),
    known("cloudformation", CFN, "DeleteStack", Needs::Control, &["cloudformation:DeleteStack"], PLANES),
    known(
        "cloudformation",
        CFN,
        "DescribeStacks",
        Needs::Control,
        &["cloudformation:DescribeStacks"],
        PLANES,
    ),
    known(
        "cloudformation",
        CFN,
        "DescribeStackEvents",
        Needs::Control,
        &["cloudformation:DescribeStackEvents"],
        PLANES,
    ),
    known(
        "route53",
        R53,
        "ListResourceRecordSets",
        Needs::UsEast1,
        &["route53:ListResourceRecordSets"],
        EDGE,
    ),
    known(
        "route53",
        R53,
        "ChangeResourceRecordSets",
        Needs::UsEast1,
        &["route53:ChangeResourceRecordSets"],
        EDGE,
    ),
    known("http", "HTTP", "Get", Needs::Network, &[], EDGE),
    known("tcp", "TCP", "Connect", Needs::Network, &[], EDGE),
    // Private zones are answered within each Region.
    known("dns", "DNS", "Lookup", Needs::Network, &[], EDGE),
];

/// The operations of the recovery Region's own control planes that a run needs: its CloudFormation, which makes what the plan
/// asks for, and three questions. A test fails when there is another.
pub const CONTROL_PLANE: &[(&str, &str)] = &[
    ("CreateStack", "makes the plan's stacks, as that Region's Lambda and Step Functions run the rest"),
    ("DescribeStacks", "sees when they are complete"),
    ("DescribeStackEvents", "names the resource that failed; only after a failure"),
    ("DeleteStack", "takes down what this run launched; only before the seal"),
    ("DescribeAlarms", "reads again the alarm that started the run"),
    (
        "DescribeExecution",
        "is the run that holds the newest epoch still under way; only where it left no manifest",
    ),
    (
        "GetPublicKey",
        "puts the public key beside the manifest's signature; a run is closed without a signature where KMS does not answer",
    ),
];

/// Rights that no call of ours uses, each with who does.
pub const WITHOUT_A_CALL: &[(&str, &str)] = &[
    ("logs:CreateLogStream", "Lambda writes the function's log under the function's role"),
    ("logs:PutLogEvents", "Lambda writes the function's log under the function's role"),
    ("sns:Publish", "Lambda tells the operators of a trigger that was lost, under the function's role"),
    ("ec2:CreateNetworkInterface", "Lambda attaches the function to its subnets"),
    ("ec2:DescribeNetworkInterfaces", "Lambda attaches the function to its subnets"),
    ("ec2:DescribeSubnets", "Lambda attaches the function to its subnets"),
    ("ec2:DeleteNetworkInterface", "Lambda attaches the function to its subnets"),
    ("ec2:AssignPrivateIpAddresses", "Lambda attaches the function to its subnets"),
    ("ec2:UnassignPrivateIpAddresses", "Lambda attaches the function to its subnets"),
];

/// What is known of an operation.
pub fn find(service: &str, operation: &str) -> Option<&'static Known> {
    OPERATIONS.iter().find(|known| known.service == service && known.operation == operation)
}
