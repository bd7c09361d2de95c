MERGE `acme-prod`.`raw_shop_mongodb`.`orders` AS t
USING (
  SELECT
    l.`id` AS `id`,
    l.`customer_id` AS `customer_id`,
    l.`order_date` AS `order_date`,
    l.`status` AS `status`,
    l.`online_order` AS `online_order`,
    l.`amount` AS `amount`,
    l.`total_items` AS `total_items`,
    l.`shipping` AS `shipping`,
    l.`status_history` AS `status_history`,
    l.`tags` AS `tags`,
    l.`created_at` AS `created_at`,
    l.`updated_at` AS `updated_at`,
    IF(l.`_extra` IS NULL, NULL, COALESCE(SAFE.PARSE_JSON(l.`_extra`, wide_number_mode => 'exact'), TO_JSON(l.`_extra`))) AS `_extra`,
    TO_HEX(MD5(TO_JSON_STRING(STRUCT(l.`id` AS `id`, l.`customer_id` AS `customer_id`, l.`order_date` AS `order_date`, l.`status` AS `status`, l.`online_order` AS `online_order`, l.`amount` AS `amount`, l.`total_items` AS `total_items`, l.`shipping` AS `shipping`, l.`status_history` AS `status_history`, l.`tags` AS `tags`, l.`created_at` AS `created_at`, l.`updated_at` AS `updated_at`, l.`_extra` AS `_extra`)))) AS _row_hash,
    '20260301T120000Z_from_origin' AS _window_id,
    l._extracted_at,
    l._raw_uri,
    l._raw_position
  FROM `acme-prod`.`tideline_load`.`shop_mongodb__orders__ec30adc79e734900` AS l
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY l.`id`
    ORDER BY IFNULL(LEAST(l.`updated_at`, l._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') DESC, l._extracted_at DESC, l._raw_uri DESC, l._raw_position DESC
  ) = 1
) AS s
ON t.`id` = s.`id`
  AND ((t.`order_date` >= DATE '2026-02-28' AND t.`order_date` < DATE '2026-03-02') OR (t.`order_date` >= DATE '2026-03-05' AND t.`order_date` < DATE '2026-03-06') OR t.`order_date` IS NULL)
WHEN MATCHED AND (
  IFNULL(s._extracted_at > t._deleted_at, FALSE)
  OR (s._row_hash IS DISTINCT FROM t._row_hash AND
    (NOT IFNULL(t._deleted_at IS NULL AND s._extracted_at <= t._superseded_at AND t._extracted_at > t._superseded_at, FALSE) AND (
      IFNULL(t._deleted_at IS NULL AND s._extracted_at > t._superseded_at AND t._extracted_at <= t._superseded_at, FALSE)
      OR (
        IFNULL(LEAST(s.`updated_at`, s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') > IFNULL(LEAST(t.`updated_at`, t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(LEAST(s.`updated_at`, s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') = IFNULL(LEAST(t.`updated_at`, t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') AND (
        s._extracted_at > IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (s._extracted_at = IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
        s._raw_uri > IFNULL(t._raw_uri, '') OR (s._raw_uri = IFNULL(t._raw_uri, '') AND (
        s._raw_position >= IFNULL(t._raw_position, -1)))))))
      )
    ))
  )
) THEN UPDATE SET
  `customer_id` = s.`customer_id`,
  `order_date` = s.`order_date`,
  `status` = s.`status`,
  `online_order` = s.`online_order`,
  `amount` = s.`amount`,
  `total_items` = s.`total_items`,
  `shipping` = s.`shipping`,
  `status_history` = s.`status_history`,
  `tags` = s.`tags`,
  `created_at` = s.`created_at`,
  `updated_at` = s.`updated_at`,
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
      IFNULL(LEAST(s.`updated_at`, s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') > IFNULL(LEAST(t.`updated_at`, t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(LEAST(s.`updated_at`, s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') = IFNULL(LEAST(t.`updated_at`, t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') AND (
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
  s.`id`,
  s.`customer_id`,
  s.`order_date`,
  s.`status`,
  s.`online_order`,
  s.`amount`,
  s.`total_items`,
  s.`shipping`,
  s.`status_history`,
  s.`tags`,
  s.`created_at`,
  s.`updated_at`,
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
