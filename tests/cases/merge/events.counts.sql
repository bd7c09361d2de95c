WITH _s AS (
  SELECT _l.`l`, _l.`id`,
    MAX(IF(_l._event = 'deleted', _l._observed_at, NULL)) AS _deleted_at,
    MAX(_l._observed_at) AS _superseded_at
  FROM `acme-prod`.`tideline_load`.`test__things__ec30adc79e734900` AS _l
  GROUP BY _l.`l`, _l.`id`
),
_t AS (
  SELECT _t.`l`, _t.`id`, _t._extracted_at, _t._deleted_at, _t._superseded_at FROM `acme-prod`.`raw_test`.`things` AS _t
),
outcomes AS (
  SELECT CASE
    WHEN _t.`l` IS NULL THEN 'updated'
    WHEN IFNULL(_s._deleted_at >= IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00'), FALSE) AND _t._deleted_at IS NULL THEN 'deleted'
    WHEN _s._deleted_at < _t._extracted_at AND _t._deleted_at IS NULL THEN 'stale'
    WHEN _s._superseded_at > IFNULL(_t._superseded_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(_s._deleted_at >= IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00'), FALSE) AND (_t._deleted_at IS NULL OR _s._deleted_at > _t._deleted_at)) THEN 'updated'
    ELSE 'unchanged'
  END AS outcome
  FROM _s LEFT JOIN _t ON _t.`l` = _s.`l` AND _t.`id` = _s.`id`
)
SELECT
  COUNTIF(outcome = 'deleted') AS deleted,
  COUNTIF(outcome = 'updated') AS updated,
  COUNTIF(outcome = 'unchanged') AS unchanged,
  COUNTIF(outcome = 'stale') AS stale,
  (SELECT COUNT(*) FROM `acme-prod`.`tideline_load`.`test__things__ec30adc79e734900`) - COUNT(*) AS duplicates
FROM outcomes
