WITH s AS (
  SELECT
    l.`select` AS `select`,
    l.`order` AS `order`,
    l.`_table` AS `_table`,
    IF(l.`_extra` IS NULL, NULL, COALESCE(SAFE.PARSE_JSON(l.`_extra`, wide_number_mode => 'exact'), TO_JSON(l.`_extra`))) AS `_extra`,
    TO_HEX(MD5(TO_JSON_STRING(STRUCT(l.`select` AS `select`, l.`order` AS `order`, l.`_table` AS `_table`, l.`_extra` AS `_extra`)))) AS _row_hash,
    'it\'s \\ `not`\nharmless' AS _window_id,
    l._extracted_at,
    l._raw_uri,
    l._raw_position
  FROM `acme-prod`.`tideline_load`.`test__table__ec30adc79e734900` AS l
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY l.`select`
    ORDER BY IFNULL(LEAST(l.`order`, l._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') DESC, l._extracted_at DESC, l._raw_uri DESC, l._raw_position DESC
  ) = 1
),
t AS (
  SELECT
    t.`select`,
    t.`order`,
    t._extracted_at,
    t._raw_uri,
    t._raw_position,
    t._row_hash,
    t._deleted_at,
    t._superseded_at
  FROM `acme-prod`.`raw_test`.`table` AS t
),
outcomes AS (
  SELECT CASE
    WHEN t.`select` IS NULL THEN 'inserted'
    WHEN IFNULL(s._extracted_at > t._deleted_at, FALSE) THEN 'revived'
    WHEN NOT
      (NOT IFNULL(t._deleted_at IS NULL AND s._extracted_at <= t._superseded_at AND t._extracted_at > t._superseded_at, FALSE) AND (
        IFNULL(t._deleted_at IS NULL AND s._extracted_at > t._superseded_at AND t._extracted_at <= t._superseded_at, FALSE)
        OR (
          IFNULL(LEAST(s.`order`, s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') > IFNULL(LEAST(t.`order`, t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(LEAST(s.`order`, s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') = IFNULL(LEAST(t.`order`, t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') AND (
          s._extracted_at > IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (s._extracted_at = IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
          s._raw_uri > IFNULL(t._raw_uri, '') OR (s._raw_uri = IFNULL(t._raw_uri, '') AND (
          s._raw_position >= IFNULL(t._raw_position, -1)))))))
        )
      ))
    THEN 'stale'
    WHEN s._row_hash IS DISTINCT FROM t._row_hash THEN 'updated'
    ELSE 'unchanged'
  END AS outcome
  FROM s LEFT JOIN t ON t.`select` = s.`select`
)
SELECT
  COUNTIF(outcome = 'inserted') AS inserted,
  COUNTIF(outcome = 'updated') AS updated,
  COUNTIF(outcome = 'unchanged') AS unchanged,
  COUNTIF(outcome = 'revived') AS revived,
  COUNTIF(outcome = 'stale') AS stale,
  (SELECT COUNT(*) FROM `acme-prod`.`tideline_load`.`test__table__ec30adc79e734900`) - COUNT(*) AS duplicates
FROM outcomes
