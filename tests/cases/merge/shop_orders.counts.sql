WITH s AS (
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
  FROM `acme-prod`.`raw_shop_mongodb`.`orders` AS t
  WHERE ((t.`order_date` >= DATE '2026-02-28' AND t.`order_date` < DATE '2026-03-02') OR (t.`order_date` >= DATE '2026-03-05' AND t.`order_date` < DATE '2026-03-06') OR t.`order_date` IS NULL)
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
  (SELECT COUNT(*) FROM `acme-prod`.`tideline_load`.`shop_mongodb__orders__ec30adc79e734900`) - COUNT(*) AS duplicates
FROM outcomes
