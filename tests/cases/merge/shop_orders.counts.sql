WITH _s AS (
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
),
_t AS (
  SELECT
    _t.`id`,
    _t.`updated_at`,
    _t._extracted_at,
    _t._raw_uri,
    _t._raw_position,
    _t._row_hash,
    _t._deleted_at,
    _t._superseded_at
  FROM `acme-prod`.`raw_shop_mongodb`.`orders` AS _t
  WHERE ((_t.`order_date` >= DATE '2026-02-28' AND _t.`order_date` < DATE '2026-03-02') OR (_t.`order_date` >= DATE '2026-03-05' AND _t.`order_date` < DATE '2026-03-06') OR _t.`order_date` IS NULL)
),
outcomes AS (
  SELECT CASE
    WHEN _t.`id` IS NULL THEN 'inserted'
    WHEN IFNULL(_s._extracted_at > _t._deleted_at, FALSE) THEN 'revived'
    WHEN NOT
      (NOT IFNULL(_t._deleted_at IS NULL AND _s._extracted_at <= _t._superseded_at AND _t._extracted_at > _t._superseded_at, FALSE) AND (
        IFNULL(_t._deleted_at IS NULL AND _s._extracted_at > _t._superseded_at AND _t._extracted_at <= _t._superseded_at, FALSE)
        OR (
          IFNULL(LEAST(_s.`updated_at`, _s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') > IFNULL(LEAST(_t.`updated_at`, _t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') OR (IFNULL(LEAST(_s.`updated_at`, _s._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') = IFNULL(LEAST(_t.`updated_at`, _t._extracted_at), TIMESTAMP '0001-01-01 00:00:00+00') AND (
          _s._extracted_at > IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') OR (_s._extracted_at = IFNULL(_t._extracted_at, TIMESTAMP '0001-01-01 00:00:00+00') AND (
          _s._raw_uri > IFNULL(_t._raw_uri, '') OR (_s._raw_uri = IFNULL(_t._raw_uri, '') AND (
          _s._raw_position >= IFNULL(_t._raw_position, -1)))))))
        )
      ))
    THEN 'stale'
    WHEN _s._row_hash IS DISTINCT FROM _t._row_hash THEN 'updated'
    ELSE 'unchanged'
  END AS outcome
  FROM _s LEFT JOIN _t ON _t.`id` = _s.`id`
)
SELECT
  COUNTIF(outcome = 'inserted') AS inserted,
  COUNTIF(outcome = 'updated') AS updated,
  COUNTIF(outcome = 'unchanged') AS unchanged,
  COUNTIF(outcome = 'revived') AS revived,
  COUNTIF(outcome = 'stale') AS stale,
  (SELECT COUNT(*) FROM `acme-prod`.`tideline_load`.`shop_mongodb__orders__ec30adc79e734900`) - COUNT(*) AS duplicates
FROM outcomes
