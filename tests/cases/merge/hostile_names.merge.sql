MERGE `acme-prod`.`raw_test`.`table` AS _t
USING (
  SELECT
    _l.`select` AS `select`,
    _l.`order` AS `order`,
    _l.`_table` AS `_table`,
    _l.`l` AS `l`,
    _l.`s` AS `s`,
    _l.`t` AS `t`,
    ARRAY(SELECT AS STRUCT _item0.`offset0` AS `offset0`, IF(_item0.`item0` IS NULL, NULL, COALESCE(SAFE.PARSE_JSON(_item0.`item0`, wide_number_mode => 'exact'), TO_JSON(_item0.`item0`))) AS `item0` FROM UNNEST(_l.`items`) AS _item0 WITH OFFSET AS _offset0 ORDER BY _offset0) AS `items`,
    IF(_l.`_extra` IS NULL, NULL, COALESCE(SAFE.PARSE_JSON(_l.`_extra`, wide_number_mode => 'exact'), TO_JSON(_l.`_extra`))) AS `_extra`,
    TO_HEX(MD5(TO_JSON_STRING(STRUCT(_l.`select` AS `select`, _l.`order` AS `order`, _l.`_table` AS `_table`, _l.`l` AS `l`, _l.`s` AS `s`, _l.`t` AS `t`, _l.`items` AS `items`, _l.`_extra` AS `_extra`)))) AS _row_hash,
    'it\'s \\ `not`\nharmless' AS _window_id,
    _l._extracted_at,
    _l._raw_uri,
    _l._raw_position
  FROM `acme-prod`.`tideline_load`.`test__table__ec30adc79e734900` AS _l
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY _l.`select`
    ORDER BY IFNULL(LEAST(_l.`order`, _l._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') DESC, _l._extracted_at DESC, _l._raw_uri DESC, _l._raw_position DESC
  ) = 1
) AS _s
ON _t.`select` = _s.`select`
WHEN MATCHED AND (
  IFNULL(_s._extracted_at > _t._deleted_at, FALSE)
  OR (_s._row_hash IS DISTINCT FROM _t._row_hash AND
    (NOT IFNULL(_t._deleted_at IS NULL AND _s._extracted_at <= _t._superseded_at AND _t._extracted_at > _t._superseded_at, FALSE) AND (
      IFNULL(_t._deleted_at IS NULL AND _s._extracted_at > _t._superseded_at AND _t._extracted_at <= _t._superseded_at, FALSE)
      OR (
        IFNULL(LEAST(_s.`order`, _s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') > IFNULL(LEAST(_t.`order`, _t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(LEAST(_s.`order`, _s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') = IFNULL(LEAST(_t.`order`, _t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') AND (
        _s._extracted_at > IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (_s._extracted_at = IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
        _s._raw_uri > IFNULL(_t._raw_uri, '') OR (_s._raw_uri = IFNULL(_t._raw_uri, '') AND (
        _s._raw_position >= IFNULL(_t._raw_position, -1)))))))
      )
    ))
  )
) THEN UPDATE SET
  `order` = _s.`order`,
  `_table` = _s.`_table`,
  `l` = _s.`l`,
  `s` = _s.`s`,
  `t` = _s.`t`,
  `items` = _s.`items`,
  _extra = _s._extra,
  _row_hash = _s._row_hash,
  _window_id = _s._window_id,
  _extracted_at = _s._extracted_at,
  _raw_uri = _s._raw_uri,
  _raw_position = _s._raw_position,
  _merged_at = CURRENT_TIMESTAMP(),
  _deleted_at = IF(IFNULL(_s._extracted_at > _t._deleted_at, FALSE), NULL, _t._deleted_at)
WHEN MATCHED AND
  (NOT IFNULL(_t._deleted_at IS NULL AND _s._extracted_at <= _t._superseded_at AND _t._extracted_at > _t._superseded_at, FALSE) AND (
    IFNULL(_t._deleted_at IS NULL AND _s._extracted_at > _t._superseded_at AND _t._extracted_at <= _t._superseded_at, FALSE)
    OR (
      IFNULL(LEAST(_s.`order`, _s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') > IFNULL(LEAST(_t.`order`, _t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(LEAST(_s.`order`, _s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') = IFNULL(LEAST(_t.`order`, _t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') AND (
      _s._extracted_at > IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (_s._extracted_at = IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
      _s._raw_uri > IFNULL(_t._raw_uri, '') OR (_s._raw_uri = IFNULL(_t._raw_uri, '') AND (
      _s._raw_position > IFNULL(_t._raw_position, -1)))))))
    )
  ))
THEN UPDATE SET
  _window_id = _s._window_id,
  _extracted_at = _s._extracted_at,
  _raw_uri = _s._raw_uri,
  _raw_position = _s._raw_position
WHEN NOT MATCHED THEN INSERT (
  `select`,
  `order`,
  `_table`,
  `l`,
  `s`,
  `t`,
  `items`,
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
  _s.`select`,
  _s.`order`,
  _s.`_table`,
  _s.`l`,
  _s.`s`,
  _s.`t`,
  _s.`items`,
  _s._extra,
  _s._row_hash,
  _s._window_id,
  _s._extracted_at,
  _s._raw_uri,
  _s._raw_position,
  CURRENT_TIMESTAMP(),
  NULL,
  NULL
)
