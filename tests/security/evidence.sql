-- What no attempt may change, one value a subject. Read by the superuser; only the platform's and alice's objects.
SELECT 'rows of alice' AS subject, (SELECT md5(string_agg(s::text, ',' ORDER BY id)) FROM alice.secrets s) AS value
UNION ALL SELECT 'memories of alice', (SELECT md5(string_agg(m::text, ',' ORDER BY id)) FROM alice.memories m)
UNION ALL SELECT 'memories of mallory', (SELECT md5(string_agg(m::text, ',' ORDER BY id)) FROM mallory.memories m)
UNION ALL SELECT 'superseded memories of mallory', (SELECT count(*)::text FROM mallory.memories_before)
UNION ALL SELECT 'results of mallory', (SELECT count(*)::text FROM mallory.results)
UNION ALL SELECT 'versions of trials', (SELECT count(*)::text FROM pocketlet.past)
UNION ALL SELECT 'whom sessions read for', (SELECT count(*)::text FROM pocketlet.scope)
UNION ALL SELECT 'roles', (SELECT md5(string_agg(r::text, ',' ORDER BY oid)) FROM pg_authid r)
UNION ALL SELECT 'memberships', (SELECT md5(string_agg(m::text, ',' ORDER BY roleid, member)) FROM pg_auth_members m)
UNION ALL SELECT 'settings of roles',
  (SELECT md5(string_agg(s::text, ',' ORDER BY setdatabase, setrole)) FROM pg_db_role_setting s)
UNION ALL SELECT 'databases', (SELECT md5(string_agg(format('%s %s %s', datname, datdba, datacl), ',' ORDER BY oid)) FROM pg_database)
UNION ALL SELECT 'schemas',
  (SELECT md5(string_agg(n::text, ',' ORDER BY oid)) FROM pg_namespace n WHERE nspname !~ '^pg_(toast_)?temp')
UNION ALL SELECT 'default rights', (SELECT md5(string_agg(d::text, ',' ORDER BY oid)) FROM pg_default_acl d)
UNION ALL SELECT 'languages', (SELECT md5(string_agg(l::text, ',' ORDER BY oid)) FROM pg_language l)
UNION ALL SELECT 'relations outside mallory', (
  SELECT md5(string_agg(format('%s %s %s %s %s %s', oid, relname, relowner, relacl, relhasrules, relhastriggers), ',' ORDER BY oid))
    FROM pg_class WHERE relnamespace NOT IN ('mallory'::regnamespace, 'pg_toast'::regnamespace))
UNION ALL SELECT 'relations of the platform', (
  SELECT md5(string_agg(format('%s %s %s %s %s %s', oid, relname, relacl, relhasrules, relhastriggers, relrowsecurity), ',' ORDER BY oid))
    FROM pg_class WHERE relowner = 'pd_platform'::regrole)
UNION ALL SELECT 'functions outside mallory', (
  SELECT md5(string_agg(format('%s %s %s %s', oid, proowner, proacl, md5(prosrc)), ',' ORDER BY oid))
    FROM pg_proc WHERE pronamespace <> 'mallory'::regnamespace)
UNION ALL SELECT 'owned by the reader', (
  SELECT count(*)::text FROM pg_shdepend WHERE refobjid = 'mallory_ro'::regrole AND deptype = 'o')
UNION ALL SELECT 'no such objects', (
  SELECT format('%s %s %s %s %s %s %s %s', (SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_extension),
    (SELECT count(*) FROM pg_foreign_server), (SELECT count(*) FROM pg_foreign_data_wrapper),
    (SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_event_trigger),
    (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM pg_prepared_xacts)))
