WITH judged AS (
  SELECT TO_JSON_STRING(STRUCT(_t.`region` AS `region`, _t.`id` AS `id`)) AS key,
    _t._deleted_at IS NULL AND _t._extracted_at < TIMESTAMP '2026-03-01 11:30:00.000005+00' AND NOT (_t.`region` = CAST('north' AS STRING) AND _t.`id` = CAST('1' AS INT64) OR _t.`region` = CAST('it\'s' AS STRING) AND _t.`id` = CAST('2' AS INT64))
    AND NOT EXISTS (SELECT 1 FROM `acme-prod`.`tideline_load`.`test__things__ec30adc79e734900` AS _s WHERE _t.`region` = _s.`region` AND _t.`id` = _s.`id`) AS has_vanished
  FROM `acme-prod`.`raw_test`.`things` AS _t
  WHERE _t._deleted_at IS NULL
)
SELECT COUNT(*) AS live, COUNTIF(has_vanished) AS vanished,
  ARRAY(SELECT key FROM judged WHERE has_vanished ORDER BY key LIMIT 5) AS examples
FROM judged
