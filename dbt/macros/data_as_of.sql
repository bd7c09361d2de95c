{#-
  Until when a report is complete: the earliest of the datasets that it is made from. NULL where one of them was never
  read from its beginning, because then nothing can be promised.
-#}
{% macro data_as_of(datasets) -%}
    (
        select if(count(data_as_of) = {{ datasets | length }}, min(data_as_of), null)
        from {{ ref('rpt_freshness') }}
        where dataset_id in ('{{ datasets | join("', '") }}')
    )
{%- endmacro %}
