-- keep --
-- The last probe of an egress, by the node that holds it; no row touched: another node holds it.
INSERT INTO probe (egress_id, node_id, at, healthy, stage, detail, exit_ip, latency_ms)
SELECT a.egress_id, a.node_id, now(), %(healthy)s, %(stage)s, %(detail)s, %(exit_ip)s,
       %(latency_ms)s
FROM assignment AS a WHERE a.egress_id = %(egress_id)s AND a.node_id = %(node_id)s
ON CONFLICT (egress_id) DO UPDATE
SET node_id = excluded.node_id, at = excluded.at, healthy = excluded.healthy,
    stage = excluded.stage, detail = excluded.detail, exit_ip = excluded.exit_ip,
    latency_ms = excluded.latency_ms

-- suspend --
-- Stops an egress because of its probe; gives a row only where that is new or says other words.
INSERT INTO suspension (scope, subject, source, stage, reason, evidence, since, noted_at)
VALUES ('egress', %(egress_id)s, 'probe', %(stage)s, %(reason)s, %(evidence)s, now(), now())
ON CONFLICT (scope, subject, source) DO UPDATE
SET stage = excluded.stage, reason = excluded.reason, evidence = excluded.evidence
WHERE suspension.stage <> excluded.stage OR suspension.reason <> excluded.reason
RETURNING id

-- release --
-- Lifts what a bad probe had stopped; gives a row where something was.
DELETE FROM suspension
WHERE scope = 'egress' AND subject = %(egress_id)s AND source = 'probe'
RETURNING stage, reason
