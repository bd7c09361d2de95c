WITH judged AS (
  SELECT TO_JSON_STRING(STRUCT(t.`region` AS `region`, t.`id` AS `id`)) AS key,
    t._deleted_at IS NULL AND t._extracted_at < TIMESTAMP '2026-03-01 11:30:00.000005+00' AND NOT (t.`region` = CAST('north' AS STRING) AND t.`id` = CAST('1' AS INT64) OR t.`region` = CAST('it\'s' AS STRING) AND t.`id` = CAST('2' AS INT64))
    AND NOT EXISTS (SELECT 1 FROM `acme-prod`.`tideline_load`.`test__things__ec30adc79e734900` AS s WHERE t.`region` = s.`region` AND t.`id` = s.`id`) AS has_vanished
  FROM `acme-prod`.`raw_test`.`things` AS t
  WHERE t._deleted_at IS NULL
)
SELECT COUNT(*) AS live, COUNTIF(has_vanished) AS vanished,
  ARRAY(SELECT key FROM judged WHERE has_vanished ORDER BY key LIMIT 5) AS examples
FROM judged
