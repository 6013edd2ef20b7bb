-- Lets the installing login cap the temporary files of the roles it makes.
GRANT SET ON PARAMETER temp_file_limit TO pd_admin;
