-- Made by `python -m controller.store.schema` from the migrations; not to be edited.

CREATE FUNCTION public.hours_until_faster(quiet integer, rests_after integer) RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE WHEN quiet < rests_after THEN quiet + 1
                ELSE greatest(quiet, rests_after + 6) + 1 END
$$;

COMMENT ON FUNCTION public.hours_until_faster(quiet integer, rests_after integer) IS 'the quiet hour in which a rate doubles next';

CREATE FUNCTION public.note_shard_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO shard_change VALUES (pg_current_xact_id()) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE FUNCTION public.quiet_hours(since timestamp with time zone) RETURNS integer
    LANGUAGE sql STABLE
    AS $$
    SELECT greatest(0, floor(extract(epoch FROM now() - since) / 3600))::integer
$$;

COMMENT ON FUNCTION public.quiet_hours(since timestamp with time zone) IS 'full hours since an instant';

CREATE FUNCTION public.steps_below(per_hour double precision, ceiling double precision) RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT count(*)::integer FROM generate_series(1, 30) AS k
    WHERE per_hour * power(2::double precision, k) < ceiling
$$;

COMMENT ON FUNCTION public.steps_below(per_hour double precision, ceiling double precision) IS 'how often a rate may double and stay below another';

CREATE FUNCTION public.steps_up(quiet integer, rests_after integer) RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT least(30, CASE WHEN quiet > rests_after THEN greatest(rests_after, quiet - 6)
                          ELSE quiet END)
$$;

COMMENT ON FUNCTION public.steps_up(quiet integer, rests_after integer) IS 'how often a rate has doubled after so many quiet hours, six of them at rest';

CREATE FUNCTION public.warm_up_day(mailbox_state text, address text, egress_state text, egress text) RETURNS integer
    LANGUAGE sql STABLE
    AS $$
    SELECT least(
        CASE WHEN mailbox_state = 'warming' THEN coalesce(
            (SELECT w.day FROM warm_up AS w
             WHERE w.scope = 'mailbox' AND w.subject = address AND w.provider = ''), 1)
        END,
        CASE WHEN egress_state = 'warming' THEN coalesce(
            (SELECT w.day FROM warm_up AS w
             WHERE w.scope = 'egress' AND w.subject = egress AND w.provider = ''), 1)
        END)
$$;

CREATE TABLE public.assignment (
    egress_id text NOT NULL,
    node_id text NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    state text DEFAULT 'assigned'::text NOT NULL,
    assigned_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT assignment_state_check CHECK ((state = ANY (ARRAY['assigned'::text, 'releasing'::text])))
);

CREATE TABLE public.audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    evidence jsonb DEFAULT '{}'::jsonb NOT NULL
);

ALTER TABLE public.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.breaker (
    scope text NOT NULL,
    provider text NOT NULL,
    subject text NOT NULL,
    "position" text NOT NULL,
    refusals integer DEFAULT 0 NOT NULL,
    opened integer DEFAULT 0 NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    until timestamp with time zone,
    trial text COLLATE pg_catalog."C",
    trial_at timestamp with time zone,
    CONSTRAINT breaker_position_check CHECK (("position" = ANY (ARRAY['closed'::text, 'open'::text]))),
    CONSTRAINT breaker_scope_check CHECK ((scope = ANY (ARRAY['provider-egress'::text, 'provider-domain'::text])))
);

CREATE TABLE public.campaign (
    id text NOT NULL,
    client_id text NOT NULL,
    state text DEFAULT 'running'::text NOT NULL,
    text_sha256 bytea NOT NULL,
    priority integer NOT NULL,
    burst_per_hour integer,
    windows text[] NOT NULL,
    time_zone text NOT NULL,
    domains text[],
    mailboxes text[],
    delays_days integer[] NOT NULL,
    on_uncertain text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    ending boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_by text NOT NULL,
    CONSTRAINT campaign_burst_per_hour_check CHECK ((burst_per_hour > 0)),
    CONSTRAINT campaign_on_uncertain_check CHECK ((on_uncertain = ANY (ARRAY['stop'::text, 'resend'::text]))),
    CONSTRAINT campaign_priority_check CHECK (((priority >= 0) AND (priority <= 100))),
    CONSTRAINT campaign_state_check CHECK ((state = ANY (ARRAY['running'::text, 'paused'::text, 'finished'::text, 'cancelled'::text])))
);

COMMENT ON COLUMN public.campaign.text_sha256 IS 'of its templates: a text is fixed once it began';

COMMENT ON COLUMN public.campaign.domains IS 'of the pool, beside mailboxes; NULL: all of the client''s';

COMMENT ON COLUMN public.campaign.delays_days IS 'of each follow-up, after the message before it';

COMMENT ON COLUMN public.campaign.ending IS 'cancelled, and not all of its messages have ended yet';

CREATE TABLE public.campaign_follow_up (
    campaign_id text NOT NULL,
    recipient text NOT NULL COLLATE pg_catalog."C",
    step integer NOT NULL,
    address text NOT NULL,
    content bytea NOT NULL,
    CONSTRAINT campaign_follow_up_step_check CHECK ((step > 0))
);

CREATE TABLE public.campaign_lane (
    id integer NOT NULL,
    campaign_id text NOT NULL,
    time_zone text NOT NULL,
    follow_up boolean NOT NULL
);

ALTER TABLE public.campaign_lane ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.campaign_lane_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.campaign_recipient (
    campaign_id text NOT NULL,
    recipient text NOT NULL COLLATE pg_catalog."C",
    time_zone text NOT NULL,
    step integer DEFAULT 0 NOT NULL,
    message_id text COLLATE pg_catalog."C",
    mailbox text,
    next_at timestamp with time zone,
    state text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    CONSTRAINT campaign_recipient_state_check CHECK ((state = ANY (ARRAY['open'::text, 'done'::text, 'stopped'::text, 'refused'::text])))
);

COMMENT ON COLUMN public.campaign_recipient.recipient IS 'in lower case';

COMMENT ON COLUMN public.campaign_recipient.step IS '0: the first message';

COMMENT ON COLUMN public.campaign_recipient.message_id IS 'of that step';

COMMENT ON COLUMN public.campaign_recipient.next_at IS 'when the next follow-up is due; NULL: none is, yet';

CREATE TABLE public.client (
    id text NOT NULL,
    name text NOT NULL,
    unsubscribe_url text NOT NULL,
    unsubscribe_mailto text NOT NULL,
    retired boolean DEFAULT false NOT NULL,
    priority integer DEFAULT 0 NOT NULL,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    windows text[] DEFAULT '{}'::text[] NOT NULL,
    per_day bigint,
    CONSTRAINT client_priority_check CHECK (((priority >= 0) AND (priority <= 100)))
);

CREATE TABLE public.clock (
    only_one boolean DEFAULT true NOT NULL,
    highest timestamp with time zone NOT NULL,
    CONSTRAINT clock_only_one_check CHECK (only_one)
);

CREATE TABLE public.discard (
    message_id text NOT NULL COLLATE pg_catalog."C",
    node_id text NOT NULL,
    queue_id text NOT NULL,
    resend boolean NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.dkim_key (
    domain text NOT NULL,
    selector text NOT NULL,
    public_key text NOT NULL,
    sealed_key bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.domain (
    name text NOT NULL,
    client_id text NOT NULL,
    dkim_selector text NOT NULL,
    dmarc_policy text NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    CONSTRAINT domain_state_check CHECK ((state = ANY (ARRAY['warming'::text, 'active'::text, 'paused'::text, 'quarantined'::text, 'cooldown'::text, 'reserve'::text, 'retired'::text])))
);

CREATE TABLE public.egress (
    id text NOT NULL,
    client_id text NOT NULL,
    public_ip inet NOT NULL,
    helo_name text NOT NULL,
    region text,
    kind text NOT NULL,
    host text,
    port integer,
    username text,
    sealed_password bytea,
    only_node text,
    surrogate_index integer NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    warming text DEFAULT ''::text NOT NULL,
    CONSTRAINT egress_kind_check CHECK ((kind = ANY (ARRAY['socks5'::text, 'address'::text]))),
    CONSTRAINT egress_state_check CHECK ((state = ANY (ARRAY['warming'::text, 'active'::text, 'paused'::text, 'quarantined'::text, 'cooldown'::text, 'reserve'::text, 'retired'::text]))),
    CONSTRAINT egress_surrogate_index_check CHECK (((surrogate_index >= 1) AND (surrogate_index <= 131070)))
);

COMMENT ON COLUMN public.egress.state IS 'active, or retired (gone from the inventory, not yet given back)';

COMMENT ON COLUMN public.egress.warming IS 'how it is to begin, by the inventory: empty, true, or since when';

CREATE SEQUENCE public.egress_surrogate
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    MAXVALUE 131070
    CACHE 1;

ALTER SEQUENCE public.egress_surrogate OWNED BY public.egress.surrogate_index;

CREATE TABLE public.event (
    spool_id text NOT NULL,
    seq bigint NOT NULL,
    message_id text NOT NULL COLLATE pg_catalog."C",
    node_id text NOT NULL,
    kind text NOT NULL,
    at timestamp with time zone NOT NULL,
    queue_id text NOT NULL,
    egress_id text NOT NULL,
    dsn text NOT NULL,
    relay text NOT NULL,
    reason text NOT NULL,
    gateway_stage text NOT NULL,
    log_line text NOT NULL,
    provider text DEFAULT ''::text NOT NULL,
    scope text DEFAULT ''::text NOT NULL,
    permanent boolean DEFAULT false NOT NULL,
    rule text DEFAULT ''::text NOT NULL
);

COMMENT ON COLUMN public.event.scope IS 'what a receiver''s refusal is about (recipient, content, reputation, policy, capacity, network, unknown); empty: no receiver spoke';

CREATE TABLE public.feedback (
    message_id text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL,
    client_id text NOT NULL,
    at timestamp with time zone NOT NULL,
    evidence text DEFAULT ''::text NOT NULL,
    told_by text NOT NULL,
    told_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT feedback_kind_check CHECK ((kind = ANY (ARRAY['reply'::text, 'bounce'::text, 'unsubscribe'::text, 'complaint'::text])))
);

CREATE TABLE public.given_back (
    node_id text NOT NULL,
    egress_id text NOT NULL,
    epoch bigint NOT NULL
);

CREATE TABLE public.health (
    scope text NOT NULL,
    subject text NOT NULL,
    band text DEFAULT 'good'::text NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone,
    stops integer DEFAULT 0 NOT NULL,
    stopped_at timestamp with time zone,
    counted_from timestamp with time zone,
    score double precision DEFAULT 100 NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    judged_at timestamp with time zone NOT NULL,
    CONSTRAINT health_band_check CHECK ((band = ANY (ARRAY['good'::text, 'watch'::text, 'slowed'::text, 'paused'::text, 'quarantined'::text]))),
    CONSTRAINT health_scope_check CHECK ((scope = ANY (ARRAY['mailbox'::text, 'egress'::text, 'domain'::text])))
);

COMMENT ON COLUMN public.health.until IS 'when a pause or quarantine is over at the earliest';

COMMENT ON COLUMN public.health.counted_from IS 'what was learned before does not count any more';

CREATE TABLE public.health_day (
    scope text NOT NULL,
    subject text NOT NULL,
    provider text NOT NULL,
    kind text NOT NULL,
    day date NOT NULL,
    count integer NOT NULL
);

CREATE TABLE public.health_hour (
    scope text NOT NULL,
    subject text NOT NULL,
    provider text NOT NULL,
    kind text NOT NULL,
    hour timestamp with time zone NOT NULL,
    count integer NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT health_hour_count_check CHECK ((count > 0)),
    CONSTRAINT health_hour_scope_check CHECK ((scope = ANY (ARRAY['mailbox'::text, 'egress'::text, 'domain'::text])))
);

CREATE TABLE public.lease (
    node_id text NOT NULL,
    epoch bigint DEFAULT 1 NOT NULL,
    renewals bigint DEFAULT 0 NOT NULL,
    held boolean DEFAULT false NOT NULL,
    session_id text DEFAULT ''::text NOT NULL,
    certificate_sha256 bytea,
    boot_id text DEFAULT ''::text NOT NULL,
    ttl_ms integer DEFAULT 0 NOT NULL,
    margin_ms integer DEFAULT 0 NOT NULL,
    due_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL
);

COMMENT ON COLUMN public.lease.due_until IS 'no grant ever let the node hand over a message with a later not_before; only ever rises';

CREATE TABLE public.ledger (
    scope text NOT NULL,
    subject text NOT NULL,
    day date NOT NULL,
    used integer NOT NULL,
    CONSTRAINT ledger_scope_check CHECK ((scope = ANY (ARRAY['mailbox'::text, 'egress'::text, 'domain'::text, 'client'::text, 'domain-provider'::text, 'mailbox-provider'::text, 'egress-provider'::text]))),
    CONSTRAINT ledger_used_check CHECK ((used >= 0))
);

COMMENT ON COLUMN public.ledger.day IS 'a local day of the mailbox that sent';

CREATE TABLE public.ledger_hour (
    scope text NOT NULL,
    subject text NOT NULL,
    hour timestamp with time zone NOT NULL,
    used integer NOT NULL,
    CONSTRAINT ledger_hour_scope_check CHECK ((scope = ANY (ARRAY['mailbox'::text, 'egress'::text, 'provider-egress'::text, 'domain-provider'::text, 'campaign'::text]))),
    CONSTRAINT ledger_hour_used_check CHECK ((used >= 0))
);

CREATE TABLE public.mail_domain (
    domain text NOT NULL,
    receiver text DEFAULT 'unknown'::text NOT NULL,
    hosts text[] DEFAULT '{}'::text[] NOT NULL,
    outcome text DEFAULT 'pending'::text NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    asked_at timestamp with time zone,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    wanted boolean DEFAULT true NOT NULL,
    CONSTRAINT mail_domain_outcome_check CHECK ((outcome = ANY (ARRAY['pending'::text, 'found'::text, 'none'::text, 'failed'::text])))
);

COMMENT ON COLUMN public.mail_domain.outcome IS 'of the last question; none: the DNS says that it takes no mail; a provider once found is kept while questions fail';

CREATE TABLE public.mailbox (
    address text NOT NULL,
    domain text NOT NULL,
    client_id text NOT NULL,
    egress_id text NOT NULL,
    display_name text NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    due_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    slot_at timestamp with time zone,
    seed bigint DEFAULT (floor((random() * ('9007199254740992'::bigint)::double precision)))::bigint NOT NULL,
    held text DEFAULT ''::text NOT NULL,
    held_since timestamp with time zone,
    held_until timestamp with time zone,
    warming text DEFAULT ''::text NOT NULL,
    drawn_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT mailbox_state_check CHECK ((state = ANY (ARRAY['warming'::text, 'active'::text, 'paused'::text, 'quarantined'::text, 'cooldown'::text, 'reserve'::text, 'retired'::text])))
);

COMMENT ON COLUMN public.mailbox.slot_at IS 'the last slot it used';

COMMENT ON COLUMN public.mailbox.seed IS 'from which the jitter of each day follows';

COMMENT ON COLUMN public.mailbox.held IS 'the limit that kept it from using its slot; empty: none';

COMMENT ON COLUMN public.mailbox.warming IS 'how it is to begin, by the inventory: empty, true, or since when';

COMMENT ON COLUMN public.mailbox.drawn_at IS 'the clock when its slot was written';

CREATE TABLE public.message (
    id text NOT NULL COLLATE pg_catalog."C",
    client_id text NOT NULL,
    mailbox text,
    egress_id text,
    recipient text NOT NULL,
    not_before timestamp with time zone NOT NULL,
    accepted_at timestamp with time zone DEFAULT now() NOT NULL,
    state text DEFAULT 'accepted'::text NOT NULL,
    charged_day date,
    node_id text,
    epoch bigint,
    stored boolean DEFAULT false NOT NULL,
    queue_id text DEFAULT ''::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    final_at timestamp with time zone,
    size integer NOT NULL,
    provider text,
    charged_hour timestamp with time zone,
    charged_provider text,
    cancel_asked_by text,
    receiver text,
    wanted_at timestamp with time zone,
    lane integer DEFAULT 0 NOT NULL,
    awaited boolean DEFAULT false NOT NULL,
    charged_curves boolean DEFAULT false NOT NULL,
    CONSTRAINT message_state_check CHECK ((state = ANY (ARRAY['accepted'::text, 'scheduled'::text, 'dispatched'::text, 'queued'::text, 'sent'::text, 'bounced'::text, 'expired'::text, 'suppressed'::text, 'cancelled'::text, 'uncertain'::text])))
);

COMMENT ON COLUMN public.message.provider IS 'who runs the recipient''s mailbox; unknown: not found (yet); NULL: not looked for yet';

COMMENT ON COLUMN public.message.receiver IS 'the provider, or where it is `other` the domain of its MX hosts; NULL: not looked for yet';

COMMENT ON COLUMN public.message.wanted_at IS 'before which its sender does not want it sent; NULL: at once. not_before is never earlier';

COMMENT ON COLUMN public.message.lane IS 'of a campaign; 0: of none; -1: warm-up mail, which counts toward every limit and in no figure of a client';

COMMENT ON COLUMN public.message.awaited IS 'its campaign has not looked yet at how it ended';

COMMENT ON COLUMN public.message.charged_curves IS 'charged toward its provider for its mailbox and egress too, because that provider had warm-up curves';

CREATE TABLE public.message_content (
    message_id text NOT NULL COLLATE pg_catalog."C",
    added bytea DEFAULT '\x'::bytea NOT NULL,
    content bytea NOT NULL
);
ALTER TABLE ONLY public.message_content ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE public.node (
    id text NOT NULL,
    address inet NOT NULL,
    hostname text NOT NULL,
    ssh_port integer NOT NULL,
    ssh_user text NOT NULL,
    host_key text NOT NULL,
    capacity integer NOT NULL,
    failure_domain text NOT NULL,
    region text,
    monthly_cost_eur numeric NOT NULL,
    cordoned boolean DEFAULT false NOT NULL,
    decommissioned boolean DEFAULT false NOT NULL,
    certificate_sha256 bytea,
    enrolled_at timestamp with time zone,
    connected boolean DEFAULT false NOT NULL,
    last_seen timestamp with time zone,
    agent_version text DEFAULT ''::text NOT NULL,
    boot_id text DEFAULT ''::text NOT NULL,
    spool_id text DEFAULT ''::text NOT NULL,
    running_generation bigint DEFAULT 0 NOT NULL,
    spec_error text DEFAULT ''::text NOT NULL,
    spooled bigint DEFAULT 0 NOT NULL,
    queued bigint DEFAULT 0 NOT NULL,
    deferred bigint DEFAULT 0 NOT NULL,
    wanted_generation bigint DEFAULT 1 NOT NULL,
    disk_free_bytes bigint DEFAULT 0 NOT NULL,
    open_connections integer DEFAULT 0 NOT NULL,
    fenced boolean DEFAULT false NOT NULL,
    draining boolean DEFAULT false NOT NULL,
    added_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.probe (
    egress_id text NOT NULL,
    node_id text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    healthy boolean NOT NULL,
    stage text NOT NULL,
    detail text NOT NULL,
    exit_ip text NOT NULL,
    latency_ms integer NOT NULL
);

CREATE TABLE public.slow_down (
    scope text NOT NULL,
    provider text NOT NULL,
    subject text NOT NULL,
    per_hour double precision NOT NULL,
    since timestamp with time zone NOT NULL,
    lowered_at timestamp with time zone NOT NULL,
    rule text NOT NULL,
    reason text NOT NULL,
    evidence jsonb DEFAULT '{}'::jsonb NOT NULL,
    noted_at timestamp with time zone DEFAULT now() NOT NULL,
    sent_at timestamp with time zone,
    ceiling double precision DEFAULT 'Infinity'::double precision NOT NULL,
    rests_after integer GENERATED ALWAYS AS (public.steps_below(per_hour, ceiling)) STORED NOT NULL,
    CONSTRAINT slow_down_per_hour_check CHECK ((per_hour > (0)::double precision)),
    CONSTRAINT slow_down_scope_check CHECK ((scope = ANY (ARRAY['provider-egress'::text, 'provider-domain'::text])))
);

COMMENT ON COLUMN public.slow_down.noted_at IS 'the clock when `since` was written';

COMMENT ON COLUMN public.slow_down.sent_at IS 'of a receiver in no table (with a dot in its name): when dispatch let the last message of the pair go';

COMMENT ON COLUMN public.slow_down.ceiling IS 'messages an hour that were refused last; infinite: none is known';

COMMENT ON COLUMN public.slow_down.rests_after IS 'doublings after which it rests below the ceiling';

CREATE TABLE public.suspension (
    id bigint NOT NULL,
    scope text NOT NULL,
    subject text NOT NULL,
    source text NOT NULL,
    stage text DEFAULT ''::text NOT NULL,
    reason text NOT NULL,
    evidence jsonb DEFAULT '{}'::jsonb NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    until timestamp with time zone,
    noted_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT suspension_scope_check CHECK ((scope = ANY (ARRAY['mailbox'::text, 'egress'::text, 'domain'::text, 'client'::text, 'provider-egress'::text, 'provider-domain'::text])))
);

COMMENT ON COLUMN public.suspension.subject IS 'of a pair: provider, slash, egress id or domain';

COMMENT ON COLUMN public.suspension.noted_at IS 'the clock when `until` was written';

CREATE VIEW public.rate_limit AS
 SELECT limits.scope,
    limits.provider,
    limits.subject,
    min(limits.per_hour) AS per_hour
   FROM ( SELECT slow_down.scope,
            slow_down.provider,
            slow_down.subject,
            (slow_down.per_hour * power((2)::double precision, (public.steps_up(public.quiet_hours(slow_down.since), slow_down.rests_after))::double precision)) AS per_hour
           FROM public.slow_down
        UNION ALL
         SELECT suspension.scope,
            split_part(suspension.subject, '/'::text, 1) AS split_part,
            split_part(suspension.subject, '/'::text, 2) AS split_part,
            0
           FROM public.suspension
          WHERE ((suspension.scope = ANY (ARRAY['provider-egress'::text, 'provider-domain'::text])) AND ((suspension.until IS NULL) OR (suspension.until > now())))) limits
  GROUP BY limits.scope, limits.provider, limits.subject;

CREATE TABLE public.rebalance (
    only_one boolean DEFAULT true NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    max_in_flight integer,
    began_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT rebalance_max_in_flight_check CHECK ((max_in_flight > 0)),
    CONSTRAINT rebalance_only_one_check CHECK (only_one)
);

CREATE TABLE public.running_mailbox (
    node_id text NOT NULL,
    address text NOT NULL,
    egress_id text NOT NULL
);

CREATE TABLE public.schema_migration (
    version integer NOT NULL,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.setting (
    name text NOT NULL,
    value jsonb NOT NULL
);

COMMENT ON TABLE public.setting IS 'fleet-wide settings of the inventory (name "fleet") and the like';

CREATE TABLE public.shard_change (
    xid xid8 NOT NULL
);

CREATE TABLE public.shard_move (
    egress_id text NOT NULL,
    from_node text NOT NULL,
    to_node text,
    reason text NOT NULL,
    began_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.submission (
    message_id text NOT NULL COLLATE pg_catalog."C",
    client_id text NOT NULL,
    idempotency_key text NOT NULL,
    fingerprint bytea NOT NULL,
    recipient text NOT NULL
);

CREATE TABLE public.suppression (
    client_id text NOT NULL,
    recipient text NOT NULL,
    reason text NOT NULL,
    evidence text DEFAULT ''::text NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.suspension ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.suspension_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.unreachable (
    egress_id text NOT NULL,
    node_id text NOT NULL,
    stage text NOT NULL,
    detail text NOT NULL,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    strikes integer NOT NULL,
    CONSTRAINT unreachable_check CHECK ((until >= since)),
    CONSTRAINT unreachable_strikes_check CHECK ((strikes > 0))
);

CREATE TABLE public.warm_up (
    scope text NOT NULL,
    subject text NOT NULL,
    day integer NOT NULL,
    judged date NOT NULL,
    signal text DEFAULT ''::text NOT NULL,
    signal_reason text DEFAULT ''::text NOT NULL,
    provider text DEFAULT ''::text NOT NULL,
    over boolean DEFAULT false NOT NULL,
    CONSTRAINT warm_up_day_check CHECK ((day >= 1)),
    CONSTRAINT warm_up_scope_check CHECK ((scope = ANY (ARRAY['mailbox'::text, 'egress'::text]))),
    CONSTRAINT warm_up_signal_check CHECK ((signal = ANY (ARRAY[''::text, 'freeze'::text, 'back'::text])))
);

COMMENT ON COLUMN public.warm_up.provider IS 'whose mail it is about; empty: all mail';

COMMENT ON COLUMN public.warm_up.over IS 'of one toward a provider, while the one for all mail goes on: it binds no more';

CREATE TABLE public.warm_up_mail (
    message_id text NOT NULL COLLATE pg_catalog."C",
    thread text NOT NULL,
    "position" integer NOT NULL,
    done boolean NOT NULL,
    CONSTRAINT warm_up_mail_position_check CHECK (("position" >= 0))
);

CREATE TABLE public.warm_up_sent (
    scope text NOT NULL,
    subject text NOT NULL,
    day date NOT NULL,
    provider text DEFAULT ''::text NOT NULL
);

ALTER TABLE ONLY public.assignment
    ADD CONSTRAINT assignment_pkey PRIMARY KEY (egress_id);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.breaker
    ADD CONSTRAINT breaker_pkey PRIMARY KEY (scope, provider, subject);

ALTER TABLE ONLY public.campaign_follow_up
    ADD CONSTRAINT campaign_follow_up_pkey PRIMARY KEY (campaign_id, recipient, step);

ALTER TABLE ONLY public.campaign_lane
    ADD CONSTRAINT campaign_lane_campaign_id_time_zone_follow_up_key UNIQUE (campaign_id, time_zone, follow_up);

ALTER TABLE ONLY public.campaign_lane
    ADD CONSTRAINT campaign_lane_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.campaign
    ADD CONSTRAINT campaign_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.campaign_recipient
    ADD CONSTRAINT campaign_recipient_pkey PRIMARY KEY (campaign_id, recipient);

ALTER TABLE ONLY public.client
    ADD CONSTRAINT client_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.clock
    ADD CONSTRAINT clock_pkey PRIMARY KEY (only_one);

ALTER TABLE ONLY public.discard
    ADD CONSTRAINT discard_pkey PRIMARY KEY (message_id);

ALTER TABLE ONLY public.dkim_key
    ADD CONSTRAINT dkim_key_pkey PRIMARY KEY (domain, selector);

ALTER TABLE ONLY public.domain
    ADD CONSTRAINT domain_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.egress
    ADD CONSTRAINT egress_helo_name_key UNIQUE (helo_name) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.egress
    ADD CONSTRAINT egress_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.egress
    ADD CONSTRAINT egress_public_ip_key UNIQUE (public_ip) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.egress
    ADD CONSTRAINT egress_surrogate_index_key UNIQUE (surrogate_index);

ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (spool_id, seq);

ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT feedback_pkey PRIMARY KEY (message_id, kind);

ALTER TABLE ONLY public.given_back
    ADD CONSTRAINT given_back_pkey PRIMARY KEY (node_id, egress_id);

ALTER TABLE ONLY public.health_day
    ADD CONSTRAINT health_day_pkey PRIMARY KEY (scope, subject, day, provider, kind);

ALTER TABLE ONLY public.health_hour
    ADD CONSTRAINT health_hour_pkey PRIMARY KEY (scope, subject, hour, provider, kind);

ALTER TABLE ONLY public.health
    ADD CONSTRAINT health_pkey PRIMARY KEY (scope, subject);

ALTER TABLE ONLY public.lease
    ADD CONSTRAINT lease_pkey PRIMARY KEY (node_id);

ALTER TABLE ONLY public.ledger_hour
    ADD CONSTRAINT ledger_hour_pkey PRIMARY KEY (scope, subject, hour);

ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (scope, subject, day);

ALTER TABLE ONLY public.mail_domain
    ADD CONSTRAINT mail_domain_pkey PRIMARY KEY (domain);

ALTER TABLE ONLY public.mailbox
    ADD CONSTRAINT mailbox_pkey PRIMARY KEY (address);

ALTER TABLE ONLY public.message_content
    ADD CONSTRAINT message_content_pkey PRIMARY KEY (message_id);

ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.node
    ADD CONSTRAINT node_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.probe
    ADD CONSTRAINT probe_pkey PRIMARY KEY (egress_id);

ALTER TABLE ONLY public.rebalance
    ADD CONSTRAINT rebalance_pkey PRIMARY KEY (only_one);

ALTER TABLE ONLY public.running_mailbox
    ADD CONSTRAINT running_mailbox_pkey PRIMARY KEY (node_id, address);

ALTER TABLE ONLY public.schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.setting
    ADD CONSTRAINT setting_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.shard_change
    ADD CONSTRAINT shard_change_pkey PRIMARY KEY (xid);

ALTER TABLE ONLY public.shard_move
    ADD CONSTRAINT shard_move_pkey PRIMARY KEY (egress_id);

ALTER TABLE ONLY public.slow_down
    ADD CONSTRAINT slow_down_pkey PRIMARY KEY (scope, provider, subject);

ALTER TABLE ONLY public.submission
    ADD CONSTRAINT submission_client_id_idempotency_key_key UNIQUE (client_id, idempotency_key);

ALTER TABLE ONLY public.submission
    ADD CONSTRAINT submission_pkey PRIMARY KEY (message_id);

ALTER TABLE ONLY public.suppression
    ADD CONSTRAINT suppression_pkey PRIMARY KEY (client_id, recipient);

ALTER TABLE ONLY public.suspension
    ADD CONSTRAINT suspension_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.suspension
    ADD CONSTRAINT suspension_scope_subject_source_key UNIQUE (scope, subject, source);

ALTER TABLE ONLY public.unreachable
    ADD CONSTRAINT unreachable_pkey PRIMARY KEY (egress_id, node_id);

ALTER TABLE ONLY public.warm_up_mail
    ADD CONSTRAINT warm_up_mail_pkey PRIMARY KEY (message_id);

ALTER TABLE ONLY public.warm_up_mail
    ADD CONSTRAINT warm_up_mail_thread_position_key UNIQUE (thread, "position");

ALTER TABLE ONLY public.warm_up
    ADD CONSTRAINT warm_up_pkey PRIMARY KEY (scope, subject, provider);

ALTER TABLE ONLY public.warm_up_sent
    ADD CONSTRAINT warm_up_sent_pkey PRIMARY KEY (scope, subject, provider, day);

CREATE INDEX assignment_by_node ON public.assignment USING btree (node_id);

CREATE INDEX audit_by_subject ON public.audit USING btree (subject, id);

CREATE INDEX campaign_of_client ON public.campaign USING btree (client_id, id);

CREATE INDEX campaign_recipient_due ON public.campaign_recipient USING btree (campaign_id, next_at) WHERE ((state = 'open'::text) AND (next_at IS NOT NULL));

CREATE INDEX campaign_recipient_open ON public.campaign_recipient USING btree (campaign_id) WHERE (state = 'open'::text);

CREATE INDEX discard_by_node ON public.discard USING btree (node_id);

CREATE INDEX event_by_message ON public.event USING btree (message_id);

CREATE INDEX health_day_by_day ON public.health_day USING btree (day);

CREATE INDEX health_hour_by_hour ON public.health_hour USING btree (hour);

CREATE INDEX health_not_good ON public.health USING btree (judged_at) WHERE (band <> 'good'::text);

CREATE INDEX ledger_by_day ON public.ledger USING btree (day);

CREATE INDEX ledger_hour_by_hour ON public.ledger_hour USING btree (hour);

CREATE INDEX mail_domain_due ON public.mail_domain USING btree (failures, due_at) WHERE wanted;

CREATE INDEX mailbox_by_client ON public.mailbox USING btree (client_id, address);

CREATE INDEX mailbox_by_domain ON public.mailbox USING btree (domain);

CREATE INDEX mailbox_by_egress ON public.mailbox USING btree (egress_id);

CREATE INDEX mailbox_due ON public.mailbox USING btree (client_id, due_at, address);

CREATE INDEX message_due ON public.message USING btree (egress_id, not_before) WHERE (state = 'scheduled'::text);

CREATE INDEX message_ended_in_campaign ON public.message USING btree (lane, id) WHERE (awaited AND (state = ANY (ARRAY['sent'::text, 'bounced'::text, 'expired'::text, 'suppressed'::text, 'cancelled'::text, 'uncertain'::text])));

CREATE INDEX message_of_lane ON public.message USING btree (lane, state, id) WHERE (lane > 0);

CREATE INDEX message_of_unknown_provider ON public.message USING btree (lower(regexp_replace(recipient, '^.*@'::text, ''::text))) WHERE ((provider = 'unknown'::text) AND (state = ANY (ARRAY['accepted'::text, 'scheduled'::text, 'dispatched'::text, 'queued'::text])));

CREATE INDEX message_on_node ON public.message USING btree (node_id, id) WHERE (state = ANY (ARRAY['dispatched'::text, 'queued'::text]));

CREATE INDEX message_planned_for ON public.message USING btree (charged_hour, id) WHERE (state = 'scheduled'::text);

CREATE INDEX message_to_cancel ON public.message USING btree (node_id, id) WHERE ((cancel_asked_by IS NOT NULL) AND (state = ANY (ARRAY['accepted'::text, 'scheduled'::text, 'dispatched'::text, 'queued'::text])));

CREATE INDEX message_unexplained ON public.message USING btree (client_id, not_before, id) WHERE ((state = 'accepted'::text) AND (reason = ''::text));

CREATE INDEX message_waiting ON public.message USING btree (client_id, lane, COALESCE(provider, 'unknown'::text), mailbox, not_before, id) WHERE ((state = 'accepted'::text) AND (mailbox IS NOT NULL));

CREATE INDEX message_waiting_for_choice ON public.message USING btree (client_id, lane, COALESCE(provider, 'unknown'::text), not_before, id) WHERE ((state = 'accepted'::text) AND (mailbox IS NULL));

CREATE INDEX message_warm_up ON public.message USING btree (mailbox, charged_day) WHERE (lane = '-1'::integer);

CREATE INDEX message_without_provider ON public.message USING btree (id) WHERE ((provider IS NULL) AND (state = ANY (ARRAY['accepted'::text, 'scheduled'::text, 'dispatched'::text, 'queued'::text])));

CREATE INDEX submission_by_recipient ON public.submission USING btree (lower(recipient));

CREATE INDEX unreachable_until ON public.unreachable USING btree (until);

CREATE INDEX warm_up_mail_open ON public.warm_up_mail USING btree (message_id) WHERE (NOT done);

CREATE TRIGGER shard_change AFTER UPDATE ON public.assignment FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change AFTER UPDATE ON public.client FOR EACH ROW WHEN ((old.priority IS DISTINCT FROM new.priority)) EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change AFTER UPDATE ON public.egress FOR EACH ROW WHEN (((((old.client_id IS DISTINCT FROM new.client_id) OR (old.only_node IS DISTINCT FROM new.only_node)) OR (old.region IS DISTINCT FROM new.region)) OR (old.state IS DISTINCT FROM new.state))) EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change AFTER UPDATE ON public.lease FOR EACH ROW WHEN ((((old.held IS DISTINCT FROM new.held) OR ((old.epoch = 1) IS DISTINCT FROM (new.epoch = 1))) OR ((old.renewals = 0) IS DISTINCT FROM (new.renewals = 0)))) EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change AFTER UPDATE ON public.mailbox FOR EACH ROW WHEN ((old.egress_id IS DISTINCT FROM new.egress_id)) EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change AFTER UPDATE ON public.node FOR EACH ROW WHEN (((((((((old.capacity IS DISTINCT FROM new.capacity) OR (old.failure_domain IS DISTINCT FROM new.failure_domain)) OR (old.region IS DISTINCT FROM new.region)) OR (old.cordoned IS DISTINCT FROM new.cordoned)) OR (old.draining IS DISTINCT FROM new.draining)) OR (old.decommissioned IS DISTINCT FROM new.decommissioned)) OR (old.fenced IS DISTINCT FROM new.fenced)) OR (old.added_at IS DISTINCT FROM new.added_at))) EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change AFTER INSERT OR DELETE OR UPDATE ON public.rebalance FOR EACH ROW EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change AFTER INSERT OR DELETE OR UPDATE ON public.running_mailbox FOR EACH STATEMENT EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change AFTER INSERT OR DELETE OR UPDATE ON public.setting FOR EACH ROW EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change AFTER INSERT OR DELETE OR UPDATE ON public.shard_move FOR EACH ROW EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change AFTER INSERT OR DELETE OR UPDATE ON public.unreachable FOR EACH ROW EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change_set AFTER INSERT OR DELETE ON public.assignment FOR EACH ROW EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change_set AFTER INSERT OR DELETE ON public.egress FOR EACH ROW EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change_set AFTER INSERT OR DELETE ON public.lease FOR EACH ROW EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change_set AFTER INSERT OR DELETE ON public.mailbox FOR EACH ROW EXECUTE FUNCTION public.note_shard_change();

CREATE TRIGGER shard_change_set AFTER INSERT OR DELETE ON public.node FOR EACH ROW EXECUTE FUNCTION public.note_shard_change();

ALTER TABLE ONLY public.assignment
    ADD CONSTRAINT assignment_egress_id_fkey FOREIGN KEY (egress_id) REFERENCES public.egress(id);

ALTER TABLE ONLY public.assignment
    ADD CONSTRAINT assignment_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.node(id);

ALTER TABLE ONLY public.campaign
    ADD CONSTRAINT campaign_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.client(id);

ALTER TABLE ONLY public.campaign_follow_up
    ADD CONSTRAINT campaign_follow_up_campaign_id_recipient_fkey FOREIGN KEY (campaign_id, recipient) REFERENCES public.campaign_recipient(campaign_id, recipient);

ALTER TABLE ONLY public.campaign_lane
    ADD CONSTRAINT campaign_lane_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES public.campaign(id);

ALTER TABLE ONLY public.campaign_recipient
    ADD CONSTRAINT campaign_recipient_campaign_id_fkey FOREIGN KEY (campaign_id) REFERENCES public.campaign(id);

ALTER TABLE ONLY public.discard
    ADD CONSTRAINT discard_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.message(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.discard
    ADD CONSTRAINT discard_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.node(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.dkim_key
    ADD CONSTRAINT dkim_key_domain_fkey FOREIGN KEY (domain) REFERENCES public.domain(name) ON DELETE CASCADE;

ALTER TABLE ONLY public.domain
    ADD CONSTRAINT domain_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.client(id);

ALTER TABLE ONLY public.egress
    ADD CONSTRAINT egress_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.client(id);

ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT feedback_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.client(id);

ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT feedback_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.message(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.given_back
    ADD CONSTRAINT given_back_egress_id_fkey FOREIGN KEY (egress_id) REFERENCES public.egress(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.given_back
    ADD CONSTRAINT given_back_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.node(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.lease
    ADD CONSTRAINT lease_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.node(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.mailbox
    ADD CONSTRAINT mailbox_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.client(id);

ALTER TABLE ONLY public.mailbox
    ADD CONSTRAINT mailbox_domain_fkey FOREIGN KEY (domain) REFERENCES public.domain(name);

ALTER TABLE ONLY public.mailbox
    ADD CONSTRAINT mailbox_egress_id_fkey FOREIGN KEY (egress_id) REFERENCES public.egress(id);

ALTER TABLE ONLY public.message
    ADD CONSTRAINT message_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.client(id);

ALTER TABLE ONLY public.message_content
    ADD CONSTRAINT message_content_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.message(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.probe
    ADD CONSTRAINT probe_egress_id_fkey FOREIGN KEY (egress_id) REFERENCES public.egress(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.running_mailbox
    ADD CONSTRAINT running_mailbox_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.node(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.shard_move
    ADD CONSTRAINT shard_move_egress_id_fkey FOREIGN KEY (egress_id) REFERENCES public.egress(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.unreachable
    ADD CONSTRAINT unreachable_egress_id_fkey FOREIGN KEY (egress_id) REFERENCES public.egress(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.unreachable
    ADD CONSTRAINT unreachable_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.node(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.warm_up_mail
    ADD CONSTRAINT warm_up_mail_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.message(id) ON DELETE CASCADE;
