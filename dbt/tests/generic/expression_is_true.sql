{#- The expression holds for every row; a row for which it is NULL passes. -#}
{% test expression_is_true(model, expression) %}

select *
from {{ model }}
where not ({{ expression }})

{% endtest %}
