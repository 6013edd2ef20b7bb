-- Limits that only a superuser (or who was given the parameter) may set for a role.
ALTER ROLE {app} SET temp_file_limit = '2GB';
ALTER ROLE {reader} SET temp_file_limit = '256MB';
ALTER ROLE {manager} SET temp_file_limit = '256MB';
ALTER ROLE {trial} SET temp_file_limit = '256MB';
ALTER ROLE {bound} SET temp_file_limit = '256MB';
