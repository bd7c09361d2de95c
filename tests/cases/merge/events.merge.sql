MERGE `acme-prod`.`raw_test`.`things` AS _t
USING (
  SELECT _l.`l`, _l.`id`,
    MAX(IF(_l._event = 'deleted', _l._observed_at, NULL)) AS _deleted_at,
    MAX(_l._observed_at) AS _superseded_at
  FROM `acme-prod`.`tideline_load`.`test__things__ec30adc79e734900` AS _l
  GROUP BY _l.`l`, _l.`id`
) AS _s
ON _t.`l` = _s.`l` AND _t.`id` = _s.`id`
WHEN MATCHED AND (_s._superseded_at > IFNULL(_t._superseded_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(_s._deleted_at >= IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00'), FALSE) AND (_t._deleted_at IS NULL OR _s._deleted_at > _t._deleted_at))) THEN UPDATE SET
  _merged_at = IF(IFNULL(_s._deleted_at >= IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00'), FALSE) AND _t._deleted_at IS NULL, CURRENT_TIMESTAMP(), _t._merged_at),
  _deleted_at = IF(IFNULL(_s._deleted_at >= IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00'), FALSE), GREATEST(IFNULL(_t._deleted_at, TIMESTAMP '0001-01-01 00:00:00+00'), _s._deleted_at), _t._deleted_at),
  _superseded_at = GREATEST(IFNULL(_t._superseded_at, TIMESTAMP '0001-01-01 00:00:00+00'), _s._superseded_at)
WHEN NOT MATCHED THEN INSERT (`l`, `id`, _merged_at, _deleted_at, _superseded_at)
VALUES (_s.`l`, _s.`id`, CURRENT_TIMESTAMP(), IFNULL(_s._deleted_at, TIMESTAMP '0001-01-01 00:00:00+00'), _s._superseded_at)
