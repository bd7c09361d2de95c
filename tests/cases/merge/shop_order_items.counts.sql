WITH s AS (
  SELECT
    l.`id` AS `id`,
    l.`order_id` AS `order_id`,
    l.`product_id` AS `product_id`,
    l.`quantity` AS `quantity`,
    l.`unit_amount` AS `unit_amount`,
    l.`discount_rate` AS `discount_rate`,
    l.`is_returned` AS `is_returned`,
    l.`note` AS `note`,
    l.`created_at` AS `created_at`,
    l.`updated_at` AS `updated_at`,
    IF(l.`_extra` IS NULL, NULL, COALESCE(SAFE.PARSE_JSON(l.`_extra`, wide_number_mode => 'exact'), TO_JSON(l.`_extra`))) AS `_extra`,
    TO_HEX(MD5(TO_JSON_STRING(STRUCT(l.`id` AS `id`, l.`order_id` AS `order_id`, l.`product_id` AS `product_id`, l.`quantity` AS `quantity`, l.`unit_amount` AS `unit_amount`, l.`discount_rate` AS `discount_rate`, l.`is_returned` AS `is_returned`, l.`note` AS `note`, l.`created_at` AS `created_at`, l.`updated_at` AS `updated_at`, l.`_extra` AS `_extra`)))) AS _row_hash,
    '20260301T120000Z_from_origin' AS _window_id,
    l._extracted_at,
    l._raw_uri,
    l._raw_position
  FROM `acme-prod`.`tideline_load`.`shop_s3__order_items__ec30adc79e734900` AS l
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY l.`id`
    ORDER BY IFNULL(LEAST(l.`updated_at`, l._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') DESC, l._extracted_at DESC, l._raw_uri DESC, l._raw_position DESC
  ) = 1
),
t AS (
  SELECT
    t.`id`,
    t.`updated_at`,
    t._extracted_at,
    t._raw_uri,
    t._raw_position,
    t._row_hash,
    t._deleted_at,
    t._superseded_at
  FROM `acme-prod`.`raw_shop_s3`.`order_items` AS t
  WHERE ((t.`created_at` >= TIMESTAMP '2026-02-28 00:00:00+00' AND t.`created_at` < TIMESTAMP '2026-03-02 00:00:00+00') OR (t.`created_at` >= TIMESTAMP '2026-03-05 00:00:00+00' AND t.`created_at` < TIMESTAMP '2026-03-06 00:00:00+00') OR t.`created_at` IS NULL)
),
outcomes AS (
  SELECT CASE
    WHEN t.`id` IS NULL THEN 'inserted'
    WHEN IFNULL(s._extracted_at > t._deleted_at, FALSE) THEN 'revived'
    WHEN NOT
      (NOT IFNULL(t._deleted_at IS NULL AND s._extracted_at <= t._superseded_at AND t._extracted_at > t._superseded_at, FALSE) AND (
        IFNULL(t._deleted_at IS NULL AND s._extracted_at > t._superseded_at AND t._extracted_at <= t._superseded_at, FALSE)
        OR (
          IFNULL(LEAST(s.`updated_at`, s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') > IFNULL(LEAST(t.`updated_at`, t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(LEAST(s.`updated_at`, s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') = IFNULL(LEAST(t.`updated_at`, t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') AND (
          s._extracted_at > IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (s._extracted_at = IFNULL(t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
          s._raw_uri > IFNULL(t._raw_uri, '') OR (s._raw_uri = IFNULL(t._raw_uri, '') AND (
          s._raw_position >= IFNULL(t._raw_position, -1)))))))
        )
      ))
    THEN 'stale'
    WHEN s._row_hash IS DISTINCT FROM t._row_hash THEN 'updated'
    ELSE 'unchanged'
  END AS outcome
  FROM s LEFT JOIN t ON t.`id` = s.`id`
)
SELECT
  COUNTIF(outcome = 'inserted') AS inserted,
  COUNTIF(outcome = 'updated') AS updated,
  COUNTIF(outcome = 'unchanged') AS unchanged,
  COUNTIF(outcome = 'revived') AS revived,
  COUNTIF(outcome = 'stale') AS stale,
  (SELECT COUNT(*) FROM `acme-prod`.`tideline_load`.`shop_s3__order_items__ec30adc79e734900`) - COUNT(*) AS duplicates
FROM outcomes
