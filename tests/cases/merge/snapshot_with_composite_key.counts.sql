WITH s AS (
  SELECT
    l.`region` AS `region`,
    l.`id` AS `id`,
    l.`title` AS `title`,
    IF(l.`_extra` IS NULL, NULL, COALESCE(SAFE.PARSE_JSON(l.`_extra`, wide_number_mode => 'exact'), TO_JSON(l.`_extra`))) AS `_extra`,
    TO_HEX(MD5(TO_JSON_STRING(STRUCT(l.`region` AS `region`, l.`id` AS `id`, l.`title` AS `title`, l.`_extra` AS `_extra`)))) AS _row_hash,
    '20260301T120000Z_from_origin' AS _window_id,
    l._extracted_at,
    l._raw_uri,
    l._raw_position,
    (SELECT MAX(IF(_deleted_at IS NULL, TIMESTAMP_ADD(_superseded_at, INTERVAL 1 MICROSECOND), _superseded_at)) FROM `acme-prod`.`raw_test`.`things`) AS _superseded_at
  FROM `acme-prod`.`tideline_load`.`test__things__ec30adc79e734900` AS l
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY l.`region`, l.`id`
    ORDER BY l._extracted_at DESC, l._extracted_at DESC, l._raw_uri DESC, l._raw_position DESC
  ) = 1
),
t AS (
  SELECT
    t.`region`,
    t.`id`,
    t._extracted_at,
    t._raw_uri,
    t._raw_position,
    t._row_hash,
    t._deleted_at,
    t._superseded_at
  FROM `acme-prod`.`raw_test`.`things` AS t
),
outcomes AS (
  SELECT CASE
    WHEN t.`region` IS NULL THEN IF(IFNULL(s._extracted_at < s._superseded_at, FALSE), 'stale', 'inserted')
    WHEN (IFNULL(s._extracted_at >= t._deleted_at, FALSE) AND NOT IFNULL(s._extracted_at < s._superseded_at, FALSE)) THEN 'revived'
    WHEN NOT
      (NOT IFNULL(t._deleted_at IS NULL AND s._extracted_at <= t._superseded_at AND t._extracted_at > t._superseded_at, FALSE) AND (
        IFNULL(t._deleted_at IS NULL AND s._extracted_at > t._superseded_at AND t._extracted_at <= t._superseded_at, FALSE)
        OR (
          s._extracted_at > IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (s._extracted_at = IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
          s._raw_uri > IFNULL(t._raw_uri, '') OR (s._raw_uri = IFNULL(t._raw_uri, '') AND (
          s._raw_position >= IFNULL(t._raw_position, -1)))))
        )
      ))
    THEN 'stale'
    WHEN s._row_hash IS DISTINCT FROM t._row_hash THEN 'updated'
    ELSE 'unchanged'
  END AS outcome
  FROM s LEFT JOIN t ON t.`region` = s.`region` AND t.`id` = s.`id`
)
SELECT
  COUNTIF(outcome = 'inserted') AS inserted,
  COUNTIF(outcome = 'updated') AS updated,
  COUNTIF(outcome = 'unchanged') AS unchanged,
  COUNTIF(outcome = 'revived') AS revived,
  COUNTIF(outcome = 'stale') AS stale,
  (SELECT COUNT(*) FROM `acme-prod`.`tideline_load`.`test__things__ec30adc79e734900`) - COUNT(*) AS duplicates
FROM outcomes
