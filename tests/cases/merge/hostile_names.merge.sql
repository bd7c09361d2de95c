MERGE `acme-prod`.`raw_test`.`table` AS t
USING (
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
) AS s
ON t.`select` = s.`select`
WHEN MATCHED AND (
  IFNULL(s._extracted_at > t._deleted_at, FALSE)
  OR (s._row_hash IS DISTINCT FROM t._row_hash AND
    (NOT IFNULL(t._deleted_at IS NULL AND s._extracted_at <= t._superseded_at AND t._extracted_at > t._superseded_at, FALSE) AND (
      IFNULL(t._deleted_at IS NULL AND s._extracted_at > t._superseded_at AND t._extracted_at <= t._superseded_at, FALSE)
      OR (
        IFNULL(LEAST(s.`order`, s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') > IFNULL(LEAST(t.`order`, t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(LEAST(s.`order`, s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') = IFNULL(LEAST(t.`order`, t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') AND (
        s._extracted_at > IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (s._extracted_at = IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
        s._raw_uri > IFNULL(t._raw_uri, '') OR (s._raw_uri = IFNULL(t._raw_uri, '') AND (
        s._raw_position >= IFNULL(t._raw_position, -1)))))))
      )
    ))
  )
) THEN UPDATE SET
  `order` = s.`order`,
  `_table` = s.`_table`,
  _extra = s._extra,
  _row_hash = s._row_hash,
  _window_id = s._window_id,
  _extracted_at = s._extracted_at,
  _raw_uri = s._raw_uri,
  _raw_position = s._raw_position,
  _merged_at = CURRENT_TIMESTAMP(),
  _deleted_at = IF(IFNULL(s._extracted_at > t._deleted_at, FALSE), NULL, t._deleted_at)
WHEN MATCHED AND
  (NOT IFNULL(t._deleted_at IS NULL AND s._extracted_at <= t._superseded_at AND t._extracted_at > t._superseded_at, FALSE) AND (
    IFNULL(t._deleted_at IS NULL AND s._extracted_at > t._superseded_at AND t._extracted_at <= t._superseded_at, FALSE)
    OR (
      IFNULL(LEAST(s.`order`, s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') > IFNULL(LEAST(t.`order`, t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(LEAST(s.`order`, s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') = IFNULL(LEAST(t.`order`, t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') AND (
      s._extracted_at > IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (s._extracted_at = IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
      s._raw_uri > IFNULL(t._raw_uri, '') OR (s._raw_uri = IFNULL(t._raw_uri, '') AND (
      s._raw_position > IFNULL(t._raw_position, -1)))))))
    )
  ))
THEN UPDATE SET
  _window_id = s._window_id,
  _extracted_at = s._extracted_at,
  _raw_uri = s._raw_uri,
  _raw_position = s._raw_position
WHEN NOT MATCHED THEN INSERT (
  `select`,
  `order`,
  `_table`,
  _extra,
  _row_hash,
  _window_id,
  _extracted_at,
  _raw_uri,
  _raw_position,
  _merged_at,
  _deleted_at,
  _superseded_at
) VALUES (
  s.`select`,
  s.`order`,
  s.`_table`,
  s._extra,
  s._row_hash,
  s._window_id,
  s._extracted_at,
  s._raw_uri,
  s._raw_position,
  CURRENT_TIMESTAMP(),
  NULL,
  NULL
)
