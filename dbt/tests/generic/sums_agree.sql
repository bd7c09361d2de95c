{#-
  Reconciles two models: for each pair `column: expression of the other model`, the totals are the same to the cent.
  `matching` keeps the rows of the other model that are meant to be in this one.
-#}
{% test sums_agree(model, other, totals, matching='true') %}
    with

    here as (

        select
            {%- for column in totals %}
            coalesce(sum({{ column }}), 0) as total_{{ loop.index }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ model }}

    ),

    there as (

        select
            {%- for expression in totals.values() %}
            coalesce(sum({{ expression }}), 0) as total_{{ loop.index }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ other }}
        where {{ matching }}

    )

    select
        {%- for column in totals %}
        here.total_{{ loop.index }} as {{ column }},
        there.total_{{ loop.index }} as other_{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from here
    cross join there
    where
        {%- for column in totals %}
        {{ 'or ' if not loop.first }}here.total_{{ loop.index }} != there.total_{{ loop.index }}
        {%- endfor %}
{% endtest %}
