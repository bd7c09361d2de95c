MERGE `acme-prod`.`raw_test`.`things` AS t
USING (
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
) AS s
ON t.`region` = s.`region` AND t.`id` = s.`id`
WHEN MATCHED AND (
  (IFNULL(s._extracted_at >= t._deleted_at, FALSE) AND NOT IFNULL(s._extracted_at < s._superseded_at, FALSE))
  OR (s._row_hash IS DISTINCT FROM t._row_hash AND
    (NOT IFNULL(t._deleted_at IS NULL AND s._extracted_at <= t._superseded_at AND t._extracted_at > t._superseded_at, FALSE) AND (
      IFNULL(t._deleted_at IS NULL AND s._extracted_at > t._extracted_at, FALSE)
      OR (
        s._extracted_at > IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (s._extracted_at = IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
        s._raw_uri > IFNULL(t._raw_uri, '') OR (s._raw_uri = IFNULL(t._raw_uri, '') AND (
        s._raw_position >= IFNULL(t._raw_position, -1)))))
      )
    ))
  )
) THEN UPDATE SET
  `title` = s.`title`,
  _extra = s._extra,
  _row_hash = s._row_hash,
  _window_id = s._window_id,
  _extracted_at = s._extracted_at,
  _raw_uri = s._raw_uri,
  _raw_position = s._raw_position,
  _merged_at = CURRENT_TIMESTAMP(),
  _deleted_at = IF((IFNULL(s._extracted_at >= t._deleted_at, FALSE) AND NOT IFNULL(s._extracted_at < s._superseded_at, FALSE)), NULL, IF(IFNULL(s._extracted_at > t._deleted_at, FALSE), s._superseded_at, t._deleted_at)),
  _superseded_at = GREATEST(IFNULL(t._superseded_at, TIMESTAMP '0001-01-01 00:00:00+00'), TIMESTAMP_SUB(s._extracted_at, INTERVAL 1 MICROSECOND))
WHEN MATCHED AND
  (NOT IFNULL(t._deleted_at IS NULL AND s._extracted_at <= t._superseded_at AND t._extracted_at > t._superseded_at, FALSE) AND (
    IFNULL(t._deleted_at IS NULL AND s._extracted_at > t._extracted_at, FALSE)
    OR (
      s._extracted_at > IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (s._extracted_at = IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
      s._raw_uri > IFNULL(t._raw_uri, '') OR (s._raw_uri = IFNULL(t._raw_uri, '') AND (
      s._raw_position > IFNULL(t._raw_position, -1)))))
    )
  ))
THEN UPDATE SET
  _window_id = s._window_id,
  _extracted_at = s._extracted_at,
  _raw_uri = s._raw_uri,
  _raw_position = s._raw_position,
  _deleted_at = IF((IFNULL(s._extracted_at >= t._deleted_at, FALSE) AND NOT IFNULL(s._extracted_at < s._superseded_at, FALSE)), NULL, IF(IFNULL(s._extracted_at > t._deleted_at, FALSE), s._superseded_at, t._deleted_at)),
  _superseded_at = GREATEST(IFNULL(t._superseded_at, TIMESTAMP '0001-01-01 00:00:00+00'), TIMESTAMP_SUB(s._extracted_at, INTERVAL 1 MICROSECOND))
WHEN NOT MATCHED THEN INSERT (
  `region`,
  `id`,
  `title`,
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
  s.`region`,
  s.`id`,
  s.`title`,
  s._extra,
  s._row_hash,
  s._window_id,
  s._extracted_at,
  s._raw_uri,
  s._raw_position,
  CURRENT_TIMESTAMP(),
  IF(IFNULL(s._extracted_at < s._superseded_at, FALSE), s._superseded_at, NULL),
  IF(IFNULL(s._extracted_at < s._superseded_at, FALSE), s._superseded_at, TIMESTAMP_SUB(s._extracted_at, INTERVAL 1 MICROSECOND))
)
WHEN NOT MATCHED BY SOURCE AND t._deleted_at IS NULL AND t._extracted_at < TIMESTAMP '2026-03-01 11:30:00.000005+00' AND NOT (t.`region` = CAST('north' AS STRING) AND t.`id` = CAST('1' AS INT64) OR t.`region` = CAST('it\'s' AS STRING) AND t.`id` = CAST('2' AS INT64)) THEN UPDATE SET
  _merged_at = CURRENT_TIMESTAMP(),
  _deleted_at = TIMESTAMP '2026-03-01 11:30:00.000005+00',
  _superseded_at = GREATEST(IFNULL(t._superseded_at, TIMESTAMP '0001-01-01 00:00:00+00'), TIMESTAMP '2026-03-01 11:30:00.000005+00')
