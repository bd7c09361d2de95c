{#- The model has at least, and at most, so many rows. -#}
{% test row_count(model, at_least=0, at_most=none) %}

select row_count
from (select count(*) as row_count from {{ model }}) as counted
where
    row_count < {{ at_least }}
    or row_count > {{ 'row_count' if at_most is none else at_most }}

{% endtest %}
