MERGE `acme-prod`.`raw_shop_mongodb`.`orders` AS _t
USING (
  SELECT
    _l.`id` AS `id`,
    _l.`customer_id` AS `customer_id`,
    _l.`order_date` AS `order_date`,
    _l.`status` AS `status`,
    _l.`online_order` AS `online_order`,
    _l.`amount` AS `amount`,
    _l.`total_items` AS `total_items`,
    _l.`shipping` AS `shipping`,
    _l.`status_history` AS `status_history`,
    _l.`tags` AS `tags`,
    _l.`created_at` AS `created_at`,
    _l.`updated_at` AS `updated_at`,
    IF(_l.`_extra` IS NULL, NULL, COALESCE(SAFE.PARSE_JSON(_l.`_extra`, wide_number_mode => 'exact'), TO_JSON(_l.`_extra`))) AS `_extra`,
    TO_HEX(MD5(TO_JSON_STRING(STRUCT(_l.`id` AS `id`, _l.`customer_id` AS `customer_id`, _l.`order_date` AS `order_date`, _l.`status` AS `status`, _l.`online_order` AS `online_order`, _l.`amount` AS `amount`, _l.`total_items` AS `total_items`, _l.`shipping` AS `shipping`, _l.`status_history` AS `status_history`, _l.`tags` AS `tags`, _l.`created_at` AS `created_at`, _l.`updated_at` AS `updated_at`, _l.`_extra` AS `_extra`)))) AS _row_hash,
    '20260301T120000Z_from_origin' AS _window_id,
    _l._extracted_at,
    _l._raw_uri,
    _l._raw_position
  FROM `acme-prod`.`tideline_load`.`shop_mongodb__orders__ec30adc79e734900` AS _l
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY _l.`id`
    ORDER BY IFNULL(LEAST(_l.`updated_at`, _l._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') DESC, _l._extracted_at DESC, _l._raw_uri DESC, _l._raw_position DESC
  ) = 1
) AS _s
ON _t.`id` = _s.`id`
  AND ((_t.`order_date` >= DATE '2026-02-28' AND _t.`order_date` < DATE '2026-03-02') OR (_t.`order_date` >= DATE '2026-03-05' AND _t.`order_date` < DATE '2026-03-06') OR _t.`order_date` IS NULL)
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
  `customer_id` = _s.`customer_id`,
  `order_date` = _s.`order_date`,
  `status` = _s.`status`,
  `online_order` = _s.`online_order`,
  `amount` = _s.`amount`,
  `total_items` = _s.`total_items`,
  `shipping` = _s.`shipping`,
  `status_history` = _s.`status_history`,
  `tags` = _s.`tags`,
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
  `customer_id`,
  `order_date`,
  `status`,
  `online_order`,
  `amount`,
  `total_items`,
  `shipping`,
  `status_history`,
  `tags`,
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
  _s.`customer_id`,
  _s.`order_date`,
  _s.`status`,
  _s.`online_order`,
  _s.`amount`,
  _s.`total_items`,
  _s.`shipping`,
  _s.`status_history`,
  _s.`tags`,
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
