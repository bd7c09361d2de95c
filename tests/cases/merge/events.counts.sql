WITH s AS (
  SELECT l.`region`, l.`id`,
    MAX(IF(l._event = 'deleted', l._observed_at, NULL)) AS _deleted_at,
    MAX(l._observed_at) AS _superseded_at
  FROM `acme-prod`.`tideline_load`.`test__things__ec30adc79e734900` AS l
  GROUP BY l.`region`, l.`id`
),
t AS (
  SELECT t.`region`, t.`id`, t._extracted_at, t._deleted_at, t._superseded_at FROM `acme-prod`.`raw_test`.`things` AS t
),
outcomes AS (
  SELECT CASE
    WHEN t.`region` IS NULL THEN 'updated'
    WHEN IFNULL(s._deleted_at >= IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00'), FALSE) AND t._deleted_at IS NULL THEN 'deleted'
    WHEN s._deleted_at < t._extracted_at AND t._deleted_at IS NULL THEN 'stale'
    WHEN s._superseded_at > IFNULL(t._superseded_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(s._deleted_at >= IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00'), FALSE) AND (t._deleted_at IS NULL OR s._deleted_at > t._deleted_at)) THEN 'updated'
    ELSE 'unchanged'
  END AS outcome
  FROM s LEFT JOIN t ON t.`region` = s.`region` AND t.`id` = s.`id`
)
SELECT
  COUNTIF(outcome = 'deleted') AS deleted,
  COUNTIF(outcome = 'updated') AS updated,
  COUNTIF(outcome = 'unchanged') AS unchanged,
  COUNTIF(outcome = 'stale') AS stale,
  (SELECT COUNT(*) FROM `acme-prod`.`tideline_load`.`test__things__ec30adc79e734900`) - COUNT(*) AS duplicates
FROM outcomes
