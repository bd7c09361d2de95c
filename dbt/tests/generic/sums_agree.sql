{#-
  Reconciles two models: for each pair `column: expression of the other model`, the totals are the same to the cent.
  `matching` keeps the rows of the other model that are meant to be in this one.
-#}
{% test sums_agree(model, other, totals, matching='true') %}

    {%- set here = [] -%}
    {%- set there = [] -%}
    {%- set differ = [] -%}
    {%- for column, expression in totals.items() -%}
        {%- do here.append('coalesce(sum(' ~ column ~ '), 0) as ' ~ column) -%}
        {%- do there.append('coalesce(sum(' ~ expression ~ '), 0) as ' ~ column) -%}
        {%- do differ.append('here.' ~ column ~ ' != there.' ~ column) -%}
    {%- endfor %}

with

here as (

    select {{ here | join(', ') }}
    from {{ model }}

),

there as (

    select {{ there | join(', ') }}
    from {{ other }}
    where {{ matching }}

)

select
    here,
    there
from here
cross join there
where {{ differ | join(' or ') }}

{% endtest %}
