"""The same services as in docker-compose.yml, as native processes under supervisord."""
