-- The whole state of the controller. Migrations only append; this one is the beginning.
-- Ids of people's things (clients, domains, …) are the inventory's own; ids that we make are
-- bigints or, for messages, 26 characters that sort by time and serve as VERP token.

CREATE TABLE setting (
    name  text PRIMARY KEY,
    value jsonb NOT NULL
);
COMMENT ON TABLE setting IS 'fleet-wide settings of the inventory (name "fleet") and the like';

CREATE TABLE client (
    id                 text PRIMARY KEY,
    name               text NOT NULL,
    unsubscribe_url    text NOT NULL,
    unsubscribe_mailto text NOT NULL,
    -- where the planner's round robin stands: the address used last
    planner_cursor     text NOT NULL DEFAULT ''
);

CREATE TABLE domain (
    name          text PRIMARY KEY,
    client_id     text NOT NULL REFERENCES client,
    dkim_selector text NOT NULL,
    dmarc_policy  text NOT NULL,
    state         text NOT NULL DEFAULT 'active'
);

CREATE TABLE dkim_key (
    domain      text NOT NULL REFERENCES domain ON DELETE CASCADE,
    selector    text NOT NULL,
    -- SubjectPublicKeyInfo, base64, as it stands in p=
    public_key  text NOT NULL,
    -- PKCS#8 PEM, sealed by controller.keys
    sealed_key  bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (domain, selector)
);

CREATE TABLE egress (
    id              text PRIMARY KEY,
    client_id       text NOT NULL REFERENCES client,
    public_ip       inet NOT NULL UNIQUE,
    helo_name       text NOT NULL UNIQUE,
    region          text,
    kind            text NOT NULL CHECK (kind IN ('socks5', 'address')),
    host            text,
    port            integer,
    username        text,
    sealed_password bytea,
    -- of kind 'address': the only node that has it
    only_node       text,
    -- n-th address of 198.18.0.0/15, fleet-wide; never used again
    surrogate_index integer NOT NULL UNIQUE CHECK (surrogate_index BETWEEN 1 AND 131070),
    state           text NOT NULL DEFAULT 'active'
);
CREATE SEQUENCE egress_surrogate AS integer MINVALUE 1 MAXVALUE 131070 OWNED BY egress.surrogate_index;

CREATE TABLE mailbox (
    address      text PRIMARY KEY,
    domain       text NOT NULL REFERENCES domain,
    client_id    text NOT NULL REFERENCES client,
    egress_id    text NOT NULL REFERENCES egress,
    display_name text NOT NULL,
    state        text NOT NULL DEFAULT 'active'
);
CREATE INDEX mailbox_by_egress ON mailbox (egress_id);
CREATE INDEX mailbox_by_client ON mailbox (client_id, address);

CREATE TABLE node (
    id                 text PRIMARY KEY,
    address            inet NOT NULL,
    hostname           text NOT NULL,
    ssh_port           integer NOT NULL,
    ssh_user           text NOT NULL,
    host_key           text NOT NULL,
    capacity           integer NOT NULL,
    failure_domain     text NOT NULL,
    region             text,
    monthly_cost_eur   numeric NOT NULL,
    cordoned           boolean NOT NULL DEFAULT false,
    decommissioned     boolean NOT NULL DEFAULT false,
    -- SHA-256 of the certificate that is in force; any other is refused
    certificate_sha256 bytea,
    enrolled_at        timestamptz,
    -- what the session said last
    connected          boolean NOT NULL DEFAULT false,
    last_seen          timestamptz,
    agent_version      text NOT NULL DEFAULT '',
    boot_id            text NOT NULL DEFAULT '',
    spool_id           text NOT NULL DEFAULT '',
    running_generation bigint NOT NULL DEFAULT 0,
    spec_error         text NOT NULL DEFAULT '',
    spooled            bigint NOT NULL DEFAULT 0,
    queued             bigint NOT NULL DEFAULT 0,
    deferred           bigint NOT NULL DEFAULT 0,
    -- the spec that is wanted: rises in the transaction that changes what it is made of
    wanted_generation  bigint NOT NULL DEFAULT 1
);

-- The lease carries no time: every process judges by its own monotonic clock how long it has seen
-- `renewals` unchanged (docs/decisions/). A term ends by raising `epoch` where `renewals` still is
-- what was observed; a renewal names its epoch and changes nothing when that is not the current one.
CREATE TABLE lease (
    node_id  text PRIMARY KEY REFERENCES node ON DELETE CASCADE,
    epoch    bigint NOT NULL DEFAULT 1,
    renewals bigint NOT NULL DEFAULT 0,
    -- false: the term is over (expired, fenced, released); the next heartbeat begins a new one
    held     boolean NOT NULL DEFAULT false
);

-- Which node an egress belongs to. No row: free. `releasing`: the node was asked to give it back.
CREATE TABLE assignment (
    egress_id   text PRIMARY KEY REFERENCES egress,
    node_id     text NOT NULL REFERENCES node,
    -- the term in which it was granted; 0: assigned, not yet granted in any term
    epoch       bigint NOT NULL DEFAULT 0,
    state       text NOT NULL DEFAULT 'assigned' CHECK (state IN ('assigned', 'releasing')),
    assigned_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX assignment_by_node ON assignment (node_id);

CREATE TABLE suspension (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope      text NOT NULL CHECK (scope IN ('mailbox', 'egress', 'domain', 'client')),
    subject    text NOT NULL,
    -- who made it and may lift it: probe, operator
    source     text NOT NULL,
    stage      text NOT NULL DEFAULT '',
    reason     text NOT NULL,
    evidence   jsonb NOT NULL DEFAULT '{}',
    since      timestamptz NOT NULL DEFAULT now(),
    until      timestamptz,
    UNIQUE (scope, subject, source)
);

CREATE TABLE probe (
    egress_id  text PRIMARY KEY REFERENCES egress ON DELETE CASCADE,
    node_id    text NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    healthy    boolean NOT NULL,
    stage      text NOT NULL,
    detail     text NOT NULL,
    exit_ip    text NOT NULL,
    latency_ms integer NOT NULL
);

CREATE TABLE suppression (
    -- '' is the whole fleet
    client_id  text NOT NULL,
    -- an address, or a domain written as @domain; lower case
    recipient  text NOT NULL,
    reason     text NOT NULL,
    evidence   text NOT NULL DEFAULT '',
    since      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (client_id, recipient)
);

CREATE TABLE message (
    id              text COLLATE "C" PRIMARY KEY,
    client_id       text NOT NULL REFERENCES client,
    idempotency_key text NOT NULL,
    -- SHA-256 over what was submitted under the key
    fingerprint     bytea NOT NULL,
    -- NULL until the planner chose
    mailbox         text,
    egress_id       text,
    recipient       text NOT NULL,
    not_before      timestamptz NOT NULL,
    accepted_at     timestamptz NOT NULL DEFAULT now(),
    state           text NOT NULL DEFAULT 'accepted' CHECK (state IN
        ('accepted', 'scheduled', 'dispatched', 'queued',
         'sent', 'bounced', 'expired', 'suppressed', 'cancelled', 'uncertain')),
    -- the day whose allowance it took from the ledger; NULL: none taken
    charged_day     date,
    node_id         text,
    epoch           bigint,
    -- the node said that it is on its disk
    stored          boolean NOT NULL DEFAULT false,
    queue_id        text NOT NULL DEFAULT '',
    attempts        integer NOT NULL DEFAULT 0,
    -- the last words about it: a receiver's reply, or why it waits
    reason          text NOT NULL DEFAULT '',
    final_at        timestamptz,
    size            integer NOT NULL,
    UNIQUE (client_id, idempotency_key)
);
CREATE INDEX message_waiting ON message (client_id, id) WHERE state = 'accepted';
CREATE INDEX message_due ON message (egress_id, not_before) WHERE state = 'scheduled';
CREATE INDEX message_on_node ON message (node_id, id) WHERE state IN ('dispatched', 'queued');

CREATE TABLE message_content (
    message_id text COLLATE "C" PRIMARY KEY REFERENCES message ON DELETE CASCADE,
    -- header lines that were added, with CRLF; stands before `content`
    added      bytea NOT NULL DEFAULT '',
    content    bytea NOT NULL
);

-- What nodes reported, once per (spool, seq).
CREATE TABLE event (
    spool_id      text NOT NULL,
    seq           bigint NOT NULL,
    message_id    text COLLATE "C" NOT NULL,
    node_id       text NOT NULL,
    kind          text NOT NULL,
    at            timestamptz NOT NULL,
    queue_id      text NOT NULL,
    egress_id     text NOT NULL,
    dsn           text NOT NULL,
    relay         text NOT NULL,
    reason        text NOT NULL,
    gateway_stage text NOT NULL,
    log_line      text NOT NULL,
    PRIMARY KEY (spool_id, seq)
);
CREATE INDEX event_by_message ON event (message_id);

-- How much of each cap is used. Written in the transaction that assigns a message.
CREATE TABLE ledger (
    scope   text NOT NULL CHECK (scope IN ('mailbox', 'egress')),
    subject text NOT NULL,
    day     date NOT NULL,
    used    integer NOT NULL CHECK (used >= 0),
    PRIMARY KEY (scope, subject, day)
);

CREATE TABLE audit (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT now(),
    actor    text NOT NULL,
    action   text NOT NULL,
    subject  text NOT NULL,
    reason   text NOT NULL DEFAULT '',
    evidence jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_by_subject ON audit (subject, id);
