WITH _s AS (
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
),
_t AS (
  SELECT
    _t.`region`,
    _t.`id`,
    _t._extracted_at,
    _t._raw_uri,
    _t._raw_position,
    _t._row_hash,
    _t._deleted_at,
    _t._superseded_at
  FROM `acme-prod`.`raw_test`.`things` AS _t
),
outcomes AS (
  SELECT CASE
    WHEN _t.`region` IS NULL THEN IF(IFNULL(_s._extracted_at < _s._superseded_at, FALSE), 'stale', 'inserted')
    WHEN (IFNULL(_s._extracted_at >= _t._deleted_at, FALSE) AND NOT IFNULL(_s._extracted_at < _s._superseded_at, FALSE)) THEN 'revived'
    WHEN NOT
      (NOT IFNULL(_t._deleted_at IS NULL AND _s._extracted_at <= _t._superseded_at AND _t._extracted_at > _t._superseded_at, FALSE) AND (
        IFNULL(_t._deleted_at IS NULL AND _s._extracted_at > _t._extracted_at, FALSE)
        OR (
          _s._extracted_at > IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (_s._extracted_at = IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
          _s._raw_uri > IFNULL(_t._raw_uri, '') OR (_s._raw_uri = IFNULL(_t._raw_uri, '') AND (
          _s._raw_position >= IFNULL(_t._raw_position, -1)))))
        )
      ))
    THEN 'stale'
    WHEN _s._row_hash IS DISTINCT FROM _t._row_hash THEN 'updated'
    ELSE 'unchanged'
  END AS outcome
  FROM _s LEFT JOIN _t ON _t.`region` = _s.`region` AND _t.`id` = _s.`id`
)
SELECT
  COUNTIF(outcome = 'inserted') AS inserted,
  COUNTIF(outcome = 'updated') AS updated,
  COUNTIF(outcome = 'unchanged') AS unchanged,
  COUNTIF(outcome = 'revived') AS revived,
  COUNTIF(outcome = 'stale') AS stale,
  (SELECT COUNT(*) FROM `acme-prod`.`tideline_load`.`test__things__ec30adc79e734900`) - COUNT(*) AS duplicates
FROM outcomes
