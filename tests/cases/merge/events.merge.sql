MERGE `acme-prod`.`raw_test`.`things` AS t
USING (
  SELECT l.`region`, l.`id`,
    MAX(IF(l._event = 'deleted', l._observed_at, NULL)) AS _deleted_at,
    MAX(l._observed_at) AS _superseded_at
  FROM `acme-prod`.`tideline_load`.`test__things__ec30adc79e734900` AS l
  GROUP BY l.`region`, l.`id`
) AS s
ON t.`region` = s.`region` AND t.`id` = s.`id`
WHEN MATCHED AND (s._superseded_at > IFNULL(t._superseded_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(s._deleted_at >= IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00'), FALSE) AND (t._deleted_at IS NULL OR s._deleted_at > t._deleted_at))) THEN UPDATE SET
  _merged_at = IF(IFNULL(s._deleted_at >= IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00'), FALSE) AND t._deleted_at IS NULL, CURRENT_TIMESTAMP(), t._merged_at),
  _deleted_at = IF(IFNULL(s._deleted_at >= IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00'), FALSE), GREATEST(IFNULL(t._deleted_at, TIMESTAMP '0001-01-01 00:00:00+00'), s._deleted_at), t._deleted_at),
  _superseded_at = GREATEST(IFNULL(t._superseded_at, TIMESTAMP '0001-01-01 00:00:00+00'), s._superseded_at)
WHEN NOT MATCHED THEN INSERT (`region`, `id`, _merged_at, _deleted_at, _superseded_at)
VALUES (s.`region`, s.`id`, CURRENT_TIMESTAMP(), IFNULL(s._deleted_at, TIMESTAMP '0001-01-01 00:00:00+00'), s._superseded_at)
