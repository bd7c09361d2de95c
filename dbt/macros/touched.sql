{#-
  What has to be built again: the months in which rows may have changed since this model was last built. The two ledgers
  say it, so nothing searches a table that grows: a load names the partitions that it touched, and a model, before it
  writes, the months that it will (`log_touched`). What a ledger does not say is looked for, or all is built anew: so it
  is where the model's code has changed, or a view or a seed that it reads (`fingerprint`).

  Args:
    loads: dataset id → its raw table, and the partition column of it.
    builds: Names of the models whose touched months are this one's.
    children: Of a fact whose rows lie in the months of their orders: its dataset id and its key here, and the dataset id of
      the orders, its parents. The months are then also those of the orders that the changed rows belong to now, and those
      in which they lie here (`months_of_children`). Such a model says by `meta: {placed_by: …}` when its rows were created.
    also: A question for more of them, with __since__ where it needs the moment from which changes count.

  Returns: a dictionary.
    months: First days of the months, as texts; none: all of them.
    days: dataset id → first days of the partitions that were touched, as texts; none where `months` is.
    note: A comment for the statement, from which the hooks and the MERGE take both.
-#}
{% macro touched(loads={}, builds=[], children=none, also=none) -%}
    {%- if not execute or model.resource_type != 'model' -%}
        {{ return({'months': none, 'days': none, 'note': ''}) }}
    {%- endif -%}
    {%- set asked = run_query(ledgers_since(loads, builds, children is not none)) -%}
    {%- set said = namespace(as_of=none, since=none, whole=should_full_refresh(), ended=true) -%}
    {%- set months, unknown, days = [], {}, {} -%}
    {%- for id in loads -%}{%- do days.update({id: []}) -%}{%- endfor -%}
    {%- for row in asked.rows -%}
        {%- set kind, name, found = row[0], row[1], row[2] -%}
        {%- if kind == 'as_of' -%}{%- set said.as_of = found -%}
        {%- elif kind == 'since' -%}{%- set said.since = found -%}
        {%- elif kind == 'begun' -%}{%- set said.ended = false -%}
        {%- elif kind == 'unplaced' -%}{%- set said.whole = true -%}
        {%- elif found == 'all' -%}{%- set said.whole = true -%}
        {%- elif kind == 'month' -%}{%- do months.append(found) -%}
        {%- else -%}
            {%- set starts = {'unknown': []} if found == 'unknown' else fromjson(found) -%}
            {%- if starts and loads[name].column not in starts -%}
                {%- do unknown.update({name: [row[3], unknown.get(name, row[3])] | min}) -%}
            {%- endif -%}
            {%- for start in starts.get(loads[name].column, []) if start -%}
                {%- do days[name].extend(days_of(start)) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if said.whole or said.since is none or load_cached_relation(this) is none -%}
        {{ return({'months': none, 'days': none, 'note': '-- touched all as of ' ~ said.as_of}) }}
    {%- endif -%}
    {%- for id, since in unknown.items() -%}
        {%- do days[id].extend(dates_of(days_merged_since(loads[id], since))) -%}
    {%- endfor -%}
    {%- for id in loads if not (children and id == children.dataset) -%}{%- do months.extend(days[id]) -%}{%- endfor -%}
    {%- if children -%}
        {%- do months.extend(months_of_children(loads, days, children, said.ended)) -%}
    {%- endif -%}
    {%- if also -%}{%- do months.extend(dates_of(also | replace('__since__', said.since))) -%}{%- endif -%}
    {%- set firsts = [] -%}
    {%- for date in months -%}{%- do firsts.append(date[:8] ~ '01') -%}{%- endfor -%}
    {%- set firsts = firsts | unique | sort -%}
    {{ return({'months': firsts, 'days': days, 'note': '-- touched ' ~ firsts | join(' ') ~ ' as of ' ~ said.as_of}) }}
{%- endmacro %}

{#- One question to the ledgers. The look-backs are for what was committed later than it says. -#}
{% macro ledgers_since(loads, builds, is_placed) -%}
    with mark as (
        select
            max(logged_at) as built_at,
            timestamp_sub(max(logged_at), interval {{ var('merge_lookback_hours') }} hour) as since,
            timestamp_sub(max(logged_at), interval {{ var('build_lookback_hours') }} hour) as builds_since
        from {{ source('tideline', 'build_ledger') }}
        where
            model = '{{ this.identifier }}'
            and event = 'built'
            and fingerprint = '{{ fingerprint() }}'
            and {{ remembered('logged_at') }}
    )

    select 'as_of' as kind, '' as name, cast(current_timestamp() as string) as found, '' as since
    union all
    select 'since', '', cast(since as string), '' from mark where since is not null
    union all
    select distinct 'begun', '', '', ''
    from {{ source('tideline', 'build_ledger') }} as builds
    cross join mark
    where
        builds.event = 'touched'
        and builds.model = '{{ this.identifier }}'
        and builds.logged_at > mark.built_at
        and {{ remembered('builds.logged_at') }}
    {% if is_placed -%}
    union all
    select 'unplaced', '', '', ''
    from (select 1) as one
    where not exists (
        select 1
        from {{ source('tideline', 'build_places') }}
        where model = '{{ this.identifier }}'
    )
    {%- endif %}
    {% if builds -%}
    union all
    select distinct 'month', '', coalesce(cast(builds.month as string), 'all'), ''
    from {{ source('tideline', 'build_ledger') }} as builds
    cross join mark
    left join {{ source('tideline', 'build_ledger') }} as ends
        on
            builds.model = ends.model
            and builds.logged_at = ends.logged_at
            and ends.event = 'built'
            and {{ remembered('ends.logged_at') }}
    where
        builds.event = 'touched'
        and builds.model in ('{{ builds | join("', '") }}')
        and builds.logged_at >= mark.builds_since
        and {{ remembered('builds.logged_at') }}
        -- what had ended before this model was last built was taken in then
        and (ends.finished_at is null or ends.finished_at >= mark.built_at)
    {%- endif %}
    {% if loads -%}
    union all
    select
        'load',
        concat(source, '.', dataset),
        coalesce(partitions, if(mode = 'replay', 'all', 'unknown')),
        cast(least(extracted_at, mark.since) as string)
    from {{ source('tideline', 'load_ledger') }} cross join mark
    where
        concat(source, '.', dataset) in ('{{ loads | join("', '") }}')
        and committed_at >= mark.since
        and {{ remembered('committed_at') }}
    {%- endif %}
{%- endmacro %}

{#- Leaves the older days of a ledger unread; a model that was last built before them is built anew. -#}
{% macro remembered(column) -%}
    {{ column }} >= timestamp_sub(current_timestamp(), interval {{ var('remembered_days') }} day)
{%- endmacro %}

{#- Of a load that does not say which partitions it touched. -#}
{% macro days_merged_since(raw, since) -%}
    select distinct date({{ raw.column }}) as found
    from {{ raw.table }}
    where _merged_at >= timestamp '{{ since }}'
{%- endmacro %}

{#-
  Months of the orders to which the rows of touched days belong, and those in which such rows lie here. That much is looked
  for near by: in the months in which rows of these days have lain (`log_places`), in those of the days themselves and the
  ones before, and where orders were touched. Only for a row without an order there all orders are searched, and not for one
  that had none when this was last built: its order would be touched.
-#}
{% macro months_of_children(loads, days, children, ended) -%}
    {%- set raw, parents = loads[children.dataset], loads[children.parents] -%}
    {%- set changed = rows_of_days(raw, days[children.dataset]) -%}
    {%- if ended -%}{%- set months = dates_of(months_noted(days[children.dataset])) -%}
    {%- else -%}{%- set months = dates_of(months_of_rows(changed, parents, children)) -%}
    {%- endif -%}
    {%- set near = [] -%}
    {%- for date in months + days[children.parents] -%}{%- do near.append(date[:8] ~ '01') -%}{%- endfor -%}
    {%- for day in days[children.dataset] -%}
        {%- set first = modules.datetime.date.fromisoformat(day[:8] ~ '01') -%}
        {%- do near.append(first.isoformat()) -%}
        {%- if first > modules.datetime.date.min -%}
            {%- do near.append((first - modules.datetime.timedelta(days=1)).replace(day=1).isoformat()) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set found = run_query(months_of_parents(changed, parents, children, near | unique | list)).rows -%}
    {%- if found | selectattr(1) | list -%}
        {%- set found = run_query(months_of_parents(changed, parents)).rows -%}
    {%- endif -%}
    {%- for row in found if row[0] is not none -%}{%- do months.append(row[0] | string) -%}{%- endfor -%}
    {{ return(months) }}
{%- endmacro %}

{% macro rows_of_days(raw, days) -%}
    select id, order_id
    from {{ raw.table }}
    where {{ within(raw.column, days, kind='timestamp', or_null=true) }}
{%- endmacro %}

{#- In which months rows of these days lie, as this model's builds have noted it. -#}
{% macro months_noted(days) -%}
    select distinct month as found
    from {{ source('tideline', 'build_places') }}
    where
        model = '{{ this.identifier }}'
        and {{ within('day', days, or_null=true) }}
{%- endmacro %}

{#- The same where it is not noted: a build that did not end may have left rows anywhere. -#}
{% macro months_of_rows(changed, parents, children) -%}
    -- searches all of {{ this }}
    select distinct built.{{ parents.column }} as found
    from {{ this }} as built
    inner join ({{ changed }}) as changed on built.{{ children.key }} = changed.id
{%- endmacro %}

{#- In which months orders of changed rows are, looked for in some months or in all; and whether a new row has none. -#}
{% macro months_of_parents(changed, parents, children=none, months=none) -%}
    -- searches {{ 'all' if months is none else 'some' }} of {{ parents.table }}
    with changed as (
        {{ changed }}
    ),

    orders as (
        select id, {{ parents.column }} as placed_on
        from {{ parents.table }}
        where {{ within(parents.column, months, 'month', or_null=true) }}
    )

    select distinct orders.placed_on as found, false as is_missing
    from orders
    inner join changed on orders.id = changed.order_id
    {% if months is not none -%}
    union all
    select distinct cast(null as date), true
    from changed
    left join orders on changed.order_id = orders.id
    left join (
        select {{ children.key }} as key, order_id
        from {{ this }}
        where {{ parents.column }} is null
    ) as without_order
        on changed.id = without_order.key and changed.order_id = without_order.order_id
    where changed.order_id is not null and orders.id is null and without_order.key is null
    {%- endif %}
{%- endmacro %}

{#- The days of a partition that begins with a year, a month, a day or an hour. -#}
{% macro days_of(start) -%}
    {%- set days, first = [], modules.datetime.date.fromisoformat((start ~ '-01-01')[:10]) -%}
    {%- set left = (modules.datetime.date.max - first).days + 1 -%}
    {%- for number in range([{4: 366, 7: 31}.get(start | length, 1), left] | min) -%}
        {%- set day = (first + modules.datetime.timedelta(days=number)).isoformat() -%}
        {%- if day.startswith(start[:10]) -%}{%- do days.append(day) -%}{%- endif -%}
    {%- endfor -%}
    {{ return(days) }}
{%- endmacro %}

{% macro dates_of(query) -%}
    {%- set found = [] -%}
    {%- for row in run_query(query).rows if row[0] is not none -%}{%- do found.append(row[0] | string) -%}{%- endfor -%}
    {{ return(found) }}
{%- endmacro %}
