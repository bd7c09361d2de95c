with

users as (

    select * from {{ ref('stg_jsonplaceholder__users') }}

),

posts as (

    select * from {{ ref('stg_jsonplaceholder__posts') }}

),

comments as (

    select * from {{ ref('stg_jsonplaceholder__comments') }}

),

todos as (

    select * from {{ ref('stg_jsonplaceholder__todos') }}

),

albums as (

    select * from {{ ref('stg_jsonplaceholder__albums') }}

),

photos as (

    select * from {{ ref('stg_jsonplaceholder__photos') }}

),

posts_per_user as (

    select
        user_id,
        count(*) as post_count
    from posts
    group by user_id

),

comments_per_user as (

    select
        posts.user_id,
        count(*) as comment_count
    from comments
    inner join posts on comments.post_id = posts.post_id
    group by posts.user_id

),

todos_per_user as (

    select
        user_id,
        count(*) as todo_count,
        sum(if(is_completed, 1, 0)) as completed_todo_count
    from todos
    group by user_id

),

albums_per_user as (

    select
        user_id,
        count(*) as album_count
    from albums
    group by user_id

),

photos_per_user as (

    select
        albums.user_id,
        count(*) as photo_count
    from photos
    inner join albums on photos.album_id = albums.album_id
    group by albums.user_id

),

final as (

    select
        -- ids
        users.user_id,

        -- text
        coalesce(nullif(users.user_name, ''), 'unknown') as user_name,
        coalesce(nullif(users.company_name, ''), 'unknown') as company_name,
        coalesce(nullif(users.address_city, ''), 'unknown') as city,

        -- numbers
        coalesce(posts_per_user.post_count, 0) as post_count,
        coalesce(comments_per_user.comment_count, 0) as received_comment_count,
        coalesce(todos_per_user.todo_count, 0) as todo_count,
        coalesce(todos_per_user.completed_todo_count, 0) as completed_todo_count,
        coalesce(albums_per_user.album_count, 0) as album_count,
        coalesce(photos_per_user.photo_count, 0) as photo_count,

        -- times
        {{
            data_as_of([
                'jsonplaceholder.albums', 'jsonplaceholder.comments', 'jsonplaceholder.photos',
                'jsonplaceholder.posts', 'jsonplaceholder.todos', 'jsonplaceholder.users',
            ])
        }} as data_as_of

    from users
    left join posts_per_user on users.user_id = posts_per_user.user_id
    left join comments_per_user on users.user_id = comments_per_user.user_id
    left join todos_per_user on users.user_id = todos_per_user.user_id
    left join albums_per_user on users.user_id = albums_per_user.user_id
    left join photos_per_user on users.user_id = photos_per_user.user_id

)

select * from final
