{#-
  Hooks of every model: those that know what they touch (`touched`) write it down before they do, and then that they have.
-#}
{% macro log_touched() -%}
    {%- set months = [] -%}
    {%- for month in noted_months() or [] -%}
        {%- do months.append("cast(null as date)" if month == 'all' else "date '" ~ month ~ "'") -%}
    {%- endfor -%}
    {%- if months -%}
        insert into {{ source('tideline', 'build_ledger') }} (model, event, month, logged_at)
        select '{{ this.identifier }}', 'touched', month, timestamp '{{ noted_as_of() }}'
        from unnest([{{ months | join(', ') }}]) as month
    {%- endif -%}
{%- endmacro %}

{#-
  Where rows of a fact lie by the day on which they were created (`meta: {placed_by: …}`), so that nobody has to look for
  those of a day in all of it. What was once said stays said: a month too much is built anew, and nothing is lost.
-#}
{% macro log_places() -%}
    {%- set noted = noted_months() -%}
    {%- if noted and config.get('meta', {}).get('placed_by') -%}
        {%- set column = config.get('meta').placed_by -%}
        {%- set lies_by = adapter.parse_partition_by(config.get('partition_by')).field -%}
        insert into {{ source('tideline', 'build_places') }} (model, day, month)
        -- BigQuery's dates stay dates; the emulator needs the cast
        select distinct '{{ this.identifier }}', date({{ column }}), cast(date_trunc({{ lies_by }}, month) as date)
        from {{ this }}
        where {{ lies_by }} is not null and {{ within(lies_by, none if 'all' in noted else noted, 'month') }}
        except distinct
        select model, day, month
        from {{ source('tideline', 'build_places') }}
        where model = '{{ this.identifier }}'
    {%- endif -%}
{%- endmacro %}

{% macro log_built() -%}
    {%- set as_of = noted_as_of() -%}
    {%- if as_of -%}
        insert into {{ source('tideline', 'build_ledger') }} (model, event, fingerprint, logged_at, finished_at)
        select '{{ this.identifier }}', 'built', '{{ fingerprint() }}', timestamp '{{ as_of }}', current_timestamp()
    {%- endif -%}
{%- endmacro %}

{#- What a model is made of that no ledger tells: its code, and that of the views and seeds that it reads. -#}
{% macro fingerprint() -%}
    {{ return(local_md5(checksums(model) | unique | join(' '))) }}
{%- endmacro %}

{% macro checksums(node) -%}
    {%- set found = [node.checksum.checksum] -%}
    {%- for id in node.depends_on.nodes | sort if id in graph.nodes -%}
        {%- set read = graph.nodes[id] -%}
        {%- if read.resource_type == 'seed' -%}{%- do found.append(read.checksum.checksum) -%}
        {%- elif read.config.materialized in ('view', 'ephemeral') -%}{%- do found.extend(checksums(read)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- When the build began, as `touched` has noted it. -#}
{% macro noted_as_of() -%}
    {%- set noted = modules.re.search('-- touched .*as of (.+)', compiled_code or '') -%}
    {{ return(noted.group(1) if noted else none) }}
{%- endmacro %}

{#- The months that `touched` has noted in the statement, or the word all; none where the model knows of none. -#}
{% macro noted_months() -%}
    {%- set noted = modules.re.search('-- touched (.*)as of ', compiled_code or '') -%}
    {{ return(noted.group(1).split() if noted else none) }}
{%- endmacro %}
