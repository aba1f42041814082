//! What `--help` shows below the options of each command.

pub(super) const TOP_EXAMPLES: &str = "\
Examples:
  lifeboat plan check infra/plans/example.yaml
  lifeboat plan upload infra/plans/example.yaml --control-bucket aex-control
  lifeboat init infra/plans/example.yaml --control-bucket aex-control
  lifeboat status --plan aex --control-bucket aex-control --evidence-bucket aex-evidence

The buckets can be set once: LIFEBOAT_CONTROL_BUCKET, LIFEBOAT_EVIDENCE_BUCKET.";

pub(super) const APPROVE_EXAMPLES: &str = "\
Examples:
  lifeboat approve --plan aex --reason 'the data centre is flooded, I have called them'
  lifeboat approve --plan aex --run alarm-20261127T021500Z --reason 'as agreed' --profile dr-approver --yes --json

It shows what the run asks, signs the answer with your credentials, and tells what the run makes of it. Who may, how many it
takes, and what becomes of a question that nobody answers is in the plan (`approval`). Going on with an unproven ledger always
takes two. An answer is good for one question of one epoch and one proof.";

pub(super) const DECLINE_EXAMPLES: &str = "\
Examples:
  lifeboat decline --plan aex --reason 'the primary is coming back'

One no is enough: before the seal the run takes down what it has launched, and the primary keeps the pen; behind it the run
ends as Unproven.";

pub(super) const NEW_EXAMPLES: &str = "\
Examples:
  lifeboat plan new aex.yaml --name aex --primary eu-west-1 --recovery eu-central-1
  lifeboat plan check aex.yaml

The plan passes `plan check` as it is; each place that is yours to fill in says CHANGE.";

pub(super) const SCHEMA_EXAMPLES: &str = "\
Examples:
  lifeboat plan schema > plan.schema.json
  # and as the first line of the plan, for editors that have a YAML language server:
  # yaml-language-server: $schema=plan.schema.json

The schema knows the form. Whether values go together is what `lifeboat plan check` says.";

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  lifeboat plan check infra/plans/example.yaml
  lifeboat plan check --json infra/plans/example.yaml | jq '.problems[] | \"\\(.file):\\(.line) \\(.message)\"'";

pub(super) const UPLOAD_EXAMPLES: &str = "\
Examples:
  lifeboat plan upload infra/plans/example.yaml --control-bucket aex-control
  LIFEBOAT_CONTROL_BUCKET=aex-control lifeboat plan upload infra/plans/example.yaml --profile drill --json

Templates are stored by their content, so uploading twice changes nothing; the plan becomes a new version of
plan/<name>.json, which the next run uses. While the traffic is on the recovery side, a plan is refused by which a
hand-back would leave some of it there: another strategy, another zone or a name taken out under `records`, another
recovery Region. Under `records` that is while any record is not as the stored plan has it for the primary. Only then, and where the plan that is stored differs in one of these, are its newest flip or its
records read.";

pub(super) const INIT_EXAMPLES: &str = "\
Examples:
  lifeboat init infra/plans/example.yaml --control-bucket aex-control
  lifeboat init --plan aex --control-bucket aex-control --region eu-central-1

Before this nobody may write to the ledger; afterwards the primary may. Run again, it opens what the plan has got
since and leaves the rest alone, until a failover: then a new stream is for a person to decide about.";

pub(super) const FAILOVER_EXAMPLES: &str = "\
Examples:
  lifeboat failover --plan aex --reason 'the data centre is flooded' --state-machine arn:aws:states:eu-central-1:111122223333:stateMachine:lifeboat-aex
  LIFEBOAT_STATE_MACHINE=arn:… lifeboat failover --plan aex --reason 'as agreed' --by 'A. Operator' --yes --json | jq -r .run
  lifeboat status --plan aex --follow

The run confirms the outage itself and stands down if the primary is not down: nothing that this command says makes it
believe otherwise. It goes by the version of the plan that was looked at here. A start by hand is not held up by the
anti-flap window; by maintenance, another run and a serving recovery side it is.";

pub(super) const RUNS_EXAMPLES: &str = "\
Examples:
  lifeboat runs --plan aex --evidence-bucket aex-evidence
  lifeboat runs --plan aex --runs 1000 --json | jq -r '.runs.list[] | [.run, .outcome] | @tsv'";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  lifeboat completions bash > /etc/bash_completion.d/lifeboat
  lifeboat completions zsh > \"${fpath[1]}/_lifeboat\"
  lifeboat completions fish > ~/.config/fish/completions/lifeboat.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  lifeboat man | man -l -
  lifeboat man /usr/local/share/man/man1";

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  lifeboat status --plan aex --control-bucket aex-control --evidence-bucket aex-evidence
  lifeboat status --plan aex --follow
  lifeboat status --plan aex --check --json | jq .alarm
  lifeboat status --plan aex --verify

Without --verify the pen is told from the last object of each stream: under which epoch its writer writes, or which
control entry stands there. Whether a control entry counts is what the entries before it decide: --verify reads them.";

pub(super) const HANDBACK_EXAMPLES: &str = "\
Examples:
  lifeboat handback --plan aex --reason 'the run halted, the primary is well'
  lifeboat handback --plan aex --reason 'back from the drill' --take-from-recovery --by 'A. Operator' --yes --json

The whole ledger is proven first. Then, in this order: a new epoch is claimed, its fence is put into the log bucket (a
recovery side that writes stops by itself), every stream is opened for the primary, the traffic is moved back under that
epoch (by one object under the strategy `switch`, by editing the records under `records`), and the manifest is written.
Stopped on the way, the same command finishes it under the next epoch; until one has finished no alarm starts a run.

Where the primary has the pen already and the traffic is not with it (a hand-back with --keep-records, or a newest flip
that no epoch accounts for or that cannot be read), a new epoch moves the traffic alone. With --keep-records under `switch`
the traffic stays on the side that the question names, whatever a stopped run's flip does meanwhile. A plan by which not all would
move that a run has moved is refused, and the version to bring back is named.";

pub(super) const FLIP_EXAMPLES: &str = "\
Examples:
  lifeboat flip --plan aex --reason 'the run was stopped before its flip, the recovery side serves'
  lifeboat flip --plan aex --reason 'Route 53 answers again' --by 'A. Operator' --yes --json

Only where the ledger is proven, every stream is open for the recovery side under one run's epoch, nobody has fenced it
since, and the recovery side's health endpoint (the plan's probe.recovery, which this machine has to reach) says that it
serves. A newer epoch that was claimed and came to nothing (a run that stood down, a hand-back that failed before its
fence) is in nobody's way. The traffic is then moved as the run would have done it, by the same object or in the same
batches, and the manifest is written to <plan>/flip-e<epoch>/, so that doing it twice is doing it once. Where the
recovery side was not opened, start a new run by hand.";

pub(super) const REPLAY_EXAMPLES: &str = "\
Examples:
  lifeboat replay --plan aex --evidence-bucket aex-evidence
  lifeboat replay --plan aex alarm-20261123T201523Z-0451c8e99aee --json | jq '.runs[].decisions[]'
  lifeboat replay --plan aex --as-if infra/plans/stricter.yaml
  aws s3 sync s3://aex-evidence/aex ./aex && lifeboat replay ./aex

Each step that decides by a rule keeps in its record all that the rule has looked at, and a run leaves its plan. The same
rules are asked again with that, and nothing else is read: not the ledger, not AWS. What they do not decide is taken as it
was. Where a decision comes out otherwise, how the run would have ended by it is told, as far as the record goes: what a run
would have met that went on is on no record. The entries of a ledger are in no record either: `lifeboat ledger verify`
proves them again.";

pub(super) const ACKNOWLEDGE_EXAMPLES: &str = "\
Examples:
  lifeboat acknowledge --plan aex --reason 'the rack is replaced'

Within the plan's anti-flap window one automatic failover is all there is, until a person has said this.";

pub(super) const MAINTENANCE_EXAMPLES: &str = "\
Examples:
  lifeboat maintenance begin --plan aex --reason 'moving the rack'
  lifeboat maintenance end --plan aex --reason 'the rack is moved'

Begun twice, it is begun once: the first word stands.";

pub(super) const LEDGER_VERIFY_EXAMPLES: &str = "\
Examples:
  lifeboat ledger verify ./log
  lifeboat ledger verify s3://aex-log/log --watermark ME1=1042 --threads 4
  lifeboat ledger verify ./delivered --layout firehose --json | jq '.findings[] | \"\\(.object):\\(.offset) \\(.what)\"'
  lifeboat ledger verify ./journal --field seq=n --field prev=before --no-control --watermark book=98211

A segment is <stream>/<first sequence, 20 digits>.ndjson, compressed with gzip or zstd or not; a name that is no such slot
is broken too. In a delivery stream's folder every file is an object, whatever its name. Offsets count bytes after
decompression. A stream is proven through its end only where that end is stated: by a seal, or by --watermark; otherwise
entries could have been cut off, and the answer is 2. functions/ledger/FORMAT.md says what is proven, and how.";

pub(super) const LEDGER_TAIL_EXAMPLES: &str = "\
Examples:
  lifeboat ledger tail ./log --stream ME1
  lifeboat ledger tail s3://aex-log/log --stream ME1 -n 100 --json | jq '.entries[].line | fromjson | .seq'

What is shown is checked: sequence by sequence, hash by hash. What lies before is not read, so whether a control entry
counts is not told: `lifeboat ledger verify` reads it all.";

pub(super) const LEDGER_GENERATE_EXAMPLES: &str = "\
Examples:
  lifeboat ledger generate ./made-up --entries 5M --objects 2000 --seal
  lifeboat ledger generate ./made-up --bytes 1G --streams 2 --compress zstd --seal
  lifeboat ledger generate ./made-up --layout firehose --compress gzip --fault fork --fault gap --streams 2";

pub(super) const DNS_PREPARE_EXAMPLES: &str = "\
Examples:
  lifeboat dns prepare --plan aex
  lifeboat dns prepare --plan aex --yes --json | jq .left_alone
  lifeboat dns prepare --plan aex --undo

For each record of the plan one batch deletes, to the letter, what the zone holds and creates the pair: the primary half
with the same values, gated by the plan's health check, and the recovery half. Whoever edits a record meanwhile is not
overwritten. Stopped anywhere, the same command goes on. Records with other values than the plan's primary, with another
policy or an alias are left alone and told, with exit 3. Pairs are two record sets: ten thousand names need a zone whose
quota is more than its default 10,000.";

pub(super) const DNS_CHECK_EXAMPLES: &str = "\
Examples:
  lifeboat dns check --plan aex
  lifeboat dns check --plan aex --vpc vpc-0123456789abcdef0 --vpc vpc-0fedcba9876543210
  lifeboat dns check --plan aex --json | jq '.findings[] | \"\\(.place): \\(.what)\"'

Looked at are the zone and its networks, the gate (health check and alarm), the newest flip against the newest epoch,
each record of the plan, and the records beside them that point at the primary.";

pub(super) const EVIDENCE_LIST_EXAMPLES: &str = "\
Examples:
  lifeboat evidence list --plan aex --evidence-bucket aex-evidence
  lifeboat evidence list --plan aex --runs 100 --json | jq -r '.runs.list[] | select(.state == \"open\") | .run'

A run without a manifest is open: it goes on, or was stopped before it could close.";

pub(super) const EVIDENCE_SHOW_EXAMPLES: &str = "\
Examples:
  lifeboat evidence show alarm-20261123T201523Z-0451c8e99aee --plan aex
  lifeboat evidence show ./alarm-20261123T201523Z-0451c8e99aee

It tells what is written there, and does not check it: `lifeboat evidence verify` does.";

pub(super) const EVIDENCE_FETCH_EXAMPLES: &str = "\
Examples:
  lifeboat evidence fetch alarm-20261123T201523Z-0451c8e99aee ./evidence --plan aex

Every object of the run, as it is in the bucket, by its key below the run's prefix. The folder is made, or is there and
empty. It can be checked anywhere, without AWS and without a network.";

pub(super) const EVIDENCE_VERIFY_EXAMPLES: &str = "\
Examples:
  lifeboat evidence verify ./evidence --key 5f6c...e1
  lifeboat evidence verify alarm-20261123T201523Z-0451c8e99aee --plan aex --key 5f6c...e1
  lifeboat evidence verify ./evidence --json | jq '.wrong[] | \"\\(.key): \\(.what)\"'

The fingerprint is the SHA-256 of the signing key's public half. Write it down when the foundation is deployed, and keep
it where nobody can change it who can change the folder; a fingerprint from the folder proves nothing. Ask KMS for it by
the foundation's output SigningKeyArn:

  aws kms get-public-key --key-id $KEY --query PublicKey --output text | base64 -d | sha256sum

A folder is checked without a network. functions/EVIDENCE.md says what is checked, and how to write another verifier.";

pub(super) const REPORT_EXAMPLES: &str = "\
Examples:
  lifeboat report alarm-20261123T201523Z-0451c8e99aee --plan aex --key 5f6c...e1
  lifeboat report ./alarm-20261123T201523Z-0451c8e99aee --out report.html --force
  lifeboat report --plan aex --all --out aex-runs.html
  lifeboat report ./fetched --all --json | jq '.runs[] | [.run, .rto_milliseconds, .lost_entries]'

The page is one HTML file without scripts: it opens in any browser, without a network, and prints to PDF. It says at its
top whether the evidence is authentic, unauthenticated, open or broken; broken evidence makes a page too, which says what
is wrong. --json prints what the page shows, besides writing it. With --all, of each run its manifest and the signature of
that are looked at, and not each record: the run's own page does that.";
