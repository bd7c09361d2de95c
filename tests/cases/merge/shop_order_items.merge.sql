MERGE `acme-prod`.`raw_shop_s3`.`order_items` AS _t
USING (
  SELECT
    _l.`id` AS `id`,
    _l.`order_id` AS `order_id`,
    _l.`product_id` AS `product_id`,
    _l.`quantity` AS `quantity`,
    _l.`unit_amount` AS `unit_amount`,
    _l.`discount_rate` AS `discount_rate`,
    _l.`is_returned` AS `is_returned`,
    _l.`note` AS `note`,
    _l.`created_at` AS `created_at`,
    _l.`updated_at` AS `updated_at`,
    IF(_l.`_extra` IS NULL, NULL, COALESCE(SAFE.PARSE_JSON(_l.`_extra`, wide_number_mode => 'exact'), TO_JSON(_l.`_extra`))) AS `_extra`,
    TO_HEX(MD5(TO_JSON_STRING(STRUCT(_l.`id` AS `id`, _l.`order_id` AS `order_id`, _l.`product_id` AS `product_id`, _l.`quantity` AS `quantity`, _l.`unit_amount` AS `unit_amount`, _l.`discount_rate` AS `discount_rate`, _l.`is_returned` AS `is_returned`, _l.`note` AS `note`, _l.`created_at` AS `created_at`, _l.`updated_at` AS `updated_at`, _l.`_extra` AS `_extra`)))) AS _row_hash,
    '20260301T120000Z_from_origin' AS _window_id,
    _l._extracted_at,
    _l._raw_uri,
    _l._raw_position
  FROM `acme-prod`.`tideline_load`.`shop_s3__order_items__ec30adc79e734900` AS _l
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY _l.`id`
    ORDER BY IFNULL(LEAST(_l.`updated_at`, _l._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') DESC, _l._extracted_at DESC, _l._raw_uri DESC, _l._raw_position DESC
  ) = 1
) AS _s
ON _t.`id` = _s.`id`
  AND ((_t.`created_at` >= TIMESTAMP '2026-02-28 00:00:00+00' AND _t.`created_at` < TIMESTAMP '2026-03-02 00:00:00+00') OR (_t.`created_at` >= TIMESTAMP '2026-03-05 00:00:00+00' AND _t.`created_at` < TIMESTAMP '2026-03-06 00:00:00+00') OR _t.`created_at` IS NULL)
WHEN MATCHED AND (
  IFNULL(_s._extracted_at > _t._deleted_at, FALSE)
  OR (_s._row_hash IS DISTINCT FROM _t._row_hash AND
    (NOT IFNULL(_t._deleted_at IS NULL AND _s._extracted_at <= _t._superseded_at AND _t._extracted_at > _t._superseded_at, FALSE) AND (
      IFNULL(_t._deleted_at IS NULL AND _s._extracted_at > _t._superseded_at AND _t._extracted_at <= _t._superseded_at, FALSE)
      OR (
        IFNULL(LEAST(_s.`updated_at`, _s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') > IFNULL(LEAST(_t.`updated_at`, _t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(LEAST(_s.`updated_at`, _s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') = IFNULL(LEAST(_t.`updated_at`, _t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') AND (
        _s._extracted_at > IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (_s._extracted_at = IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
        _s._raw_uri > IFNULL(_t._raw_uri, '') OR (_s._raw_uri = IFNULL(_t._raw_uri, '') AND (
        _s._raw_position >= IFNULL(_t._raw_position, -1)))))))
      )
    ))
  )
) THEN UPDATE SET
  `order_id` = _s.`order_id`,
  `product_id` = _s.`product_id`,
  `quantity` = _s.`quantity`,
  `unit_amount` = _s.`unit_amount`,
  `discount_rate` = _s.`discount_rate`,
  `is_returned` = _s.`is_returned`,
  `note` = _s.`note`,
  `created_at` = _s.`created_at`,
  `updated_at` = _s.`updated_at`,
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
      IFNULL(LEAST(_s.`updated_at`, _s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') > IFNULL(LEAST(_t.`updated_at`, _t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(LEAST(_s.`updated_at`, _s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') = IFNULL(LEAST(_t.`updated_at`, _t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') AND (
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
  `id`,
  `order_id`,
  `product_id`,
  `quantity`,
  `unit_amount`,
  `discount_rate`,
  `is_returned`,
  `note`,
  `created_at`,
  `updated_at`,
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
  _s.`id`,
  _s.`order_id`,
  _s.`product_id`,
  _s.`quantity`,
  _s.`unit_amount`,
  _s.`discount_rate`,
  _s.`is_returned`,
  _s.`note`,
  _s.`created_at`,
  _s.`updated_at`,
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
