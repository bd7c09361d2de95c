{#-
  The moment from which an incremental model looks at its inputs again: the newest `_merged_at` that `built` holds, less
  the look-back. `_merged_at` is set by the warehouse when it merges, so it grows whatever the source's clocks say, and
  a row that arrives late, or a second time, has a new one.
-#}
{% macro merged_since(built) -%}
    (
        select
            timestamp_sub(
                coalesce(max(_merged_at), timestamp '1970-01-02 00:00:00+00'),
                interval {{ var('merge_lookback_hours') }} hour
            )
        from {{ built }}
    )
{%- endmacro %}
