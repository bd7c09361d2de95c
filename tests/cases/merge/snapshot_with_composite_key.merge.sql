MERGE `acme-prod`.`raw_test`.`things` AS _t
USING (
  SELECT
    _l.`region` AS `region`,
    _l.`id` AS `id`,
    _l.`title` AS `title`,
    _l.`s` AS `s`,
    _l.`t` AS `t`,
    IF(_l.`_extra` IS NULL, NULL, COALESCE(SAFE.PARSE_JSON(_l.`_extra`, wide_number_mode => 'exact'), TO_JSON(_l.`_extra`))) AS `_extra`,
    TO_HEX(MD5(TO_JSON_STRING(STRUCT(_l.`region` AS `region`, _l.`id` AS `id`, _l.`title` AS `title`, _l.`s` AS `s`, _l.`t` AS `t`, _l.`_extra` AS `_extra`)))) AS _row_hash,
    '20260301T120000Z_from_origin' AS _window_id,
    _l._extracted_at,
    _l._raw_uri,
    _l._raw_position,
    (SELECT MAX(IF(_deleted_at IS NULL, TIMESTAMP_ADD(_superseded_at, INTERVAL 1 MICROSECOND), _superseded_at)) FROM `acme-prod`.`raw_test`.`things`) AS _superseded_at
  FROM `acme-prod`.`tideline_load`.`test__things__ec30adc79e734900` AS _l
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY _l.`region`, _l.`id`
    ORDER BY _l._extracted_at DESC, _l._extracted_at DESC, _l._raw_uri DESC, _l._raw_position DESC
  ) = 1
) AS _s
ON _t.`region` = _s.`region` AND _t.`id` = _s.`id`
WHEN MATCHED AND (
  (IFNULL(_s._extracted_at >= _t._deleted_at, FALSE) AND NOT IFNULL(_s._extracted_at < _s._superseded_at, FALSE))
  OR (_s._row_hash IS DISTINCT FROM _t._row_hash AND
    (NOT IFNULL(_t._deleted_at IS NULL AND _s._extracted_at <= _t._superseded_at AND _t._extracted_at > _t._superseded_at, FALSE) AND (
      IFNULL(_t._deleted_at IS NULL AND _s._extracted_at > _t._superseded_at AND _t._extracted_at <= _t._superseded_at, FALSE)
      OR (
        _s._extracted_at > IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (_s._extracted_at = IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
        _s._raw_uri > IFNULL(_t._raw_uri, '') OR (_s._raw_uri = IFNULL(_t._raw_uri, '') AND (
        _s._raw_position >= IFNULL(_t._raw_position, -1)))))
      )
    ))
  )
) THEN UPDATE SET
  `title` = _s.`title`,
  `s` = _s.`s`,
  `t` = _s.`t`,
  _extra = _s._extra,
  _row_hash = _s._row_hash,
  _window_id = _s._window_id,
  _extracted_at = _s._extracted_at,
  _raw_uri = _s._raw_uri,
  _raw_position = _s._raw_position,
  _merged_at = CURRENT_TIMESTAMP(),
  _deleted_at = IF((IFNULL(_s._extracted_at >= _t._deleted_at, FALSE) AND NOT IFNULL(_s._extracted_at < _s._superseded_at, FALSE)), NULL, IF(IFNULL(_s._extracted_at > _t._deleted_at, FALSE), _s._superseded_at, _t._deleted_at))
WHEN MATCHED AND
  (NOT IFNULL(_t._deleted_at IS NULL AND _s._extracted_at <= _t._superseded_at AND _t._extracted_at > _t._superseded_at, FALSE) AND (
    IFNULL(_t._deleted_at IS NULL AND _s._extracted_at > _t._superseded_at AND _t._extracted_at <= _t._superseded_at, FALSE)
    OR (
      _s._extracted_at > IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (_s._extracted_at = IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
      _s._raw_uri > IFNULL(_t._raw_uri, '') OR (_s._raw_uri = IFNULL(_t._raw_uri, '') AND (
      _s._raw_position > IFNULL(_t._raw_position, -1)))))
    )
  ))
THEN UPDATE SET
  _window_id = _s._window_id,
  _extracted_at = _s._extracted_at,
  _raw_uri = _s._raw_uri,
  _raw_position = _s._raw_position,
  _deleted_at = IF((IFNULL(_s._extracted_at >= _t._deleted_at, FALSE) AND NOT IFNULL(_s._extracted_at < _s._superseded_at, FALSE)), NULL, IF(IFNULL(_s._extracted_at > _t._deleted_at, FALSE), _s._superseded_at, _t._deleted_at))
WHEN NOT MATCHED THEN INSERT (
  `region`,
  `id`,
  `title`,
  `s`,
  `t`,
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
  _s.`region`,
  _s.`id`,
  _s.`title`,
  _s.`s`,
  _s.`t`,
  _s._extra,
  _s._row_hash,
  _s._window_id,
  _s._extracted_at,
  _s._raw_uri,
  _s._raw_position,
  CURRENT_TIMESTAMP(),
  IF(IFNULL(_s._extracted_at < _s._superseded_at, FALSE), _s._superseded_at, NULL),
  IF(IFNULL(_s._extracted_at < _s._superseded_at, FALSE), _s._superseded_at, NULL)
)
