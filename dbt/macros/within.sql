{#-
  A condition with constants on a partition column, which stands in it as it is: BigQuery reads and bills the partitions
  that it names and no others.

  Args:
    column: A date, or a timestamp.
    starts: First days of the partitions, as texts; none: all of them.
    unit: day or month.
    kind: date or timestamp.
    or_null: Also the rows without a date.
-#}
{% macro within(column, starts, unit='day', kind='date', or_null=false) -%}
    {%- if starts is none -%}{{ return('true') }}{%- endif -%}
    {%- set stretches = [] -%}
    {%- for start in starts | unique | sort -%}
        {%- set first = modules.datetime.date.fromisoformat(start) -%}
        {%- set length = modules.datetime.timedelta(days=1 if unit == 'day' else 32) -%}
        {%- if first > modules.datetime.date.max - length -%}
            {#- the calendar's last, 9999-12, in which some shops' orders are -#}
            {%- set end = none -%}
        {%- else -%}
            {%- set next = first + length -%}
            {%- set end = (next if unit == 'day' else next.replace(day=1)).isoformat() -%}
        {%- endif -%}
        {%- if stretches and stretches[-1][1] == start -%}
            {%- do stretches.append([stretches.pop()[0], end]) -%}
        {%- else -%}
            {%- do stretches.append([start, end]) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if stretches | length > 400 -%}{{ return('true') }}{%- endif -%}
    {%- set midnight = ' 00:00:00+00' if kind == 'timestamp' else '' -%}
    {%- set terms = [column ~ ' is null'] if or_null else [] -%}
    {%- for first, end in stretches -%}
        {%- set before = " and " ~ column ~ " < " ~ kind ~ " '" ~ end ~ midnight ~ "'" if end else '' -%}
        {%- do terms.append('(' ~ column ~ " >= " ~ kind ~ " '" ~ first ~ midnight ~ "'" ~ before ~ ')') -%}
    {%- endfor -%}
    {{ return('(' ~ (terms | join(' or ') or 'false') ~ ')') }}
{%- endmacro %}
